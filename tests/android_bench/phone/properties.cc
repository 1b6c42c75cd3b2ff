// Preloaded into Debian's adbd, whose system properties are a map in memory: reads them from the file that
// PHONE_PROPERTIES names instead, NAME=VALUE in each line. What adbd sets itself comes first.
#include <cstdlib>
#include <fstream>
#include <map>
#include <mutex>
#include <string>

namespace {

std::mutex mutex;

std::map<std::string, std::string>& own_values() {
  static auto* values = new std::map<std::string, std::string>;  // outlives every thread that still asks
  return *values;
}

std::string read_property(const std::string& name) {
  const std::lock_guard<std::mutex> guard(mutex);
  const auto own = own_values().find(name);
  if (own != own_values().end()) return own->second;
  const char* path = std::getenv("PHONE_PROPERTIES");
  if (path == nullptr) return "";
  std::ifstream file(path);
  const std::string start = name + "=";
  for (std::string line; std::getline(file, line);) {
    if (line.compare(0, start.size(), start) == 0) return line.substr(start.size());
  }
  return "";
}

}  // namespace

namespace android::base {

std::string GetProperty(const std::string& name, const std::string& fallback) {
  const std::string value = read_property(name);
  return value.empty() ? fallback : value;
}

bool SetProperty(const std::string& name, const std::string& value) {
  const std::lock_guard<std::mutex> guard(mutex);
  own_values()[name] = value;
  return true;
}

}  // namespace android::base
