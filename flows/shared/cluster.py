"""Labels the blocks of a folder on a Ray cluster."""

from collections.abc import Iterator
from typing import Any

from flows.shared.blocks import Block, Work, label_block
from stillhouse.cluster import Cluster, on_ray


class Worker:
    """Holds the student in a process of the cluster."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def label(self, block: Block) -> dict[str, Any]:
        """See :func:`label_block`."""
        return label_block(self._work, block)


def run_ray(work: Work, blocks: list[Block], address: str | None) -> Iterator[dict[str, Any]]:
    """Label the blocks on a cluster, one at a time on each free core. See :func:`stillhouse.cluster.on_ray`.

    Args:
        work: what all blocks share. Its classifier should have one thread.
        blocks: the blocks.
        address: of the cluster; None: start one here, for the time of the run.

    Yields:
        The note of each block, in the order in which they end.

    Raises:
        BadInput: no cluster answers, a block cannot be labelled, or it ended several workers.
    """
    yield from on_ray(Worker, work, blocks, Cluster(address), "A block", "Set a smaller --chunk.")
    work.target.remove_drafts()  # of workers that died
