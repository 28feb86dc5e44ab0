"""Trainings and soft labels on several processes (ranks), each with its own GPU or its share of the CPU cores.

The process of the stage writes a job (``job.json`` and arrays), starts the ranks and waits (``launch.py``). Each rank
runs the job (``rank.py``). The ranks form a process group of PyTorch (``group.py``).
"""
