"""Photos and boxes: COCO folders, checks, imports and the training pipeline."""
