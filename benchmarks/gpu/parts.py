"""The parts in their order. To add a measurement, write a function of a Job and add a line here.

This module imports no library, so that it can be read before the libraries are unpacked.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """A measurement: heading (``title``), function, and time limit on a GPU in seconds (``budget_s``)."""

    name: str
    title: str
    function: str  # module:function
    budget_s: float


PARTS = [
    Part("ceilings", "Ceilings", "ceilings:ceilings", 40),
    Part("teacher-fp32", "Teacher, fine-tuned in fp32", "teachers:fp32", 65),
    Part("teacher-bf16", "Teacher, fine-tuned in bf16", "teachers:bf16", 55),
    Part("soft-labels", "Soft labels by batch size", "softlabels:soft_labels", 65),
    Part("student", "Student training", "students:student", 55),
    Part("agreement", "CPU and GPU answers", "agreement:agreement", 40),
    Part("out-of-memory", "Out of memory", "memory:out_of_memory", 35),
    Part("resume-student", "Student killed and resumed", "resume:student", 60),
    Part("waiting", "Two processes, one place", "waiting:waiting", 45),
    Part("teacher-compile", "Teacher, fine-tuned in bf16 with torch.compile", "teachers:compiled", 100),
    Part("resume-teacher", "Teacher killed and resumed", "resume:teacher", 90),
]
