"""How a stage is declared, started, watched, locked and stopped.

Declared: ``stages.py`` is the table of all stages. ``dvc.yaml`` is generated from it (``dvc_file.py``, with the modules
that ``imports.py`` finds), and ``artefacts.py`` gives the path of each artefact.

Started: a flow calls ``runner.run_stage``. It starts ``dvc repro --single-item <stage>`` as a child process
(``children.py``), and DVC starts ``python -m tasks.<stage>``. That process calls ``stage.command``: it loads the
parameters, links the local inputs (``links.py``), compares its input files with ``dvc.lock`` (``inputs.py``), opens the
MLflow run, and calls the stage's function with a :class:`~stillhouse.pipeline.context.Context`. The outputs are moved
into place when all of them are complete.

Watched: the child's output lines become log records (``log.py``). The stage writes its outcome to
``.stillhouse/stage-<name>.json``. After a failure ``outputs.py`` restores the last good outputs from DVC's cache.

Locked: ``lock.py`` is the lock of a project, which one flow holds at a time. ``rwlock.py`` removes stale entries from
DVC's own lock. ``slots.py`` limits the trainings on one machine. ``room.py`` checks the free disk space.

Stopped: each child runs under ``guard.py``, which ends the whole process group when its parent is gone. A worker of a
pool exits with its parent (``parent.py``). ``ending.py``
marks that this process is stopping. ``leftovers.py`` ends processes whose guard was killed.
"""
