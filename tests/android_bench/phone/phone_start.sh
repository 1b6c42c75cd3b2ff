# Process 1 of a simulated phone, in namespaces of its own. Reads orders from stdin and answers each with a line; at the
# end of stdin it ends, and the phone with it, so that no phone outlives its test.
# In the environment: ROOTFS, PHONE (a folder), LOADER, DISK_BYTES (empty for none).
set -eu
chroot=$(command -v chroot || echo /usr/sbin/chroot)
root=$PHONE/root
mount --bind "$ROOTFS" "$root"
mount -o remount,bind,ro "$root"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount --bind "$PHONE/cpuinfo" "$root/proc/cpuinfo"
mount -t tmpfs -o mode=755,size=256k tmpfs "$root/dev"
for node in null zero full random urandom tty; do
  : > "$root/dev/$node"
  mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
mount -t tmpfs -o mode=1777,size=64m tmpfs "$root/dev/shm"
for folder in data state; do mount --bind "$PHONE/$folder" "$root/$folder"; done
mount --bind "$PHONE/sys" "$root/sys"
mount -o remount,bind,ro "$root/sys"
if [ -n "$DISK_BYTES" ]; then
  mount -t tmpfs -o "mode=0771,uid=2000,gid=2000,size=$DISK_BYTES" tmpfs "$root/data/local/tmp"
fi

start_adbd() {
  # As the user `shell` of Android, 2000: a program there may no more change the machine than on a real phone.
  env -i PHONE_PROPERTIES=/state/build.prop PATH=/system/bin HOME=/ TMPDIR=/data/local/tmp QEMU_CPU=cortex-a72 \
    "$chroot" --userspec=2000:2000 --groups=2000 "$root" \
    "$LOADER" --preload /usr/lib/properties.so --argv0 adbd /usr/lib/android-sdk/platform-tools/adbd \
    < /dev/null >> "$PHONE/adbd.log" 2>&1 &
  adbd=$!
}

start_adbd
echo started
while read -r order; do
  case $order in
    unplug)
      kill -KILL "$adbd"
      wait "$adbd" || :
      ;;
    plug_in) start_adbd ;;
  esac
  echo "$order"
done
