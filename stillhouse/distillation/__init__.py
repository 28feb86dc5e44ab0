"""Teaching: fine-tuning the teacher, its soft labels, the losses, and the student's training loop."""
