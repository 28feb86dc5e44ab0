"""Distillation: fine-tuning of the teacher, its soft labels, the losses, and the training of the student."""
