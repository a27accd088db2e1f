"""Annotation files as other tools publish them: COCO, YOLO, Pascal VOC, Label Studio and CVAT."""
