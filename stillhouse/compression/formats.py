"""The file formats of a compressed student: ONNX, and tables for a student without an encoder."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
from onnx import numpy_helper

from stillhouse.compression.export import export_onnx
from stillhouse.compression.quantisations import QUANTISATIONS, Batches
from stillhouse.compression.tables import first_pieces, tables_of, write_tables
from stillhouse.models.students.network import TextNetwork
from stillhouse.models.students.student import Student
from stillhouse.serving.networks import ONNX, TABLES, read_tables

RAW, TEMPERATURE = "logits_before_temperature", "temperature"  # names in an ONNX graph


class Format(ABC):
    """A way to write a student to a file that :mod:`stillhouse.serving.networks` reads."""

    file: ClassVar[str]

    @abstractmethod
    def export(self, student: Student, target: Path) -> None:
        """Write the student to the file ``target``, in float32."""

    @abstractmethod
    def prune(self, source: Path, target: Path, size: int, network: TextNetwork) -> None:
        """Copy ``source`` to ``target`` with the rows of the first ``size`` word pieces alone."""

    @abstractmethod
    def divide(self, file: Path, temperature: float) -> None:
        """Divide the logits of the network in ``file`` by ``temperature``."""

    @abstractmethod
    def quantise(self, kind: str, source: Path, target: Path, batches: Batches, network: TextNetwork) -> None:
        """Write ``source`` quantised (``compress.quantisation``) to ``target``.

        ``batches`` are token ids of training texts, each (texts, length).
        """


class Onnx(Format):
    """ONNX, for onnxruntime."""

    file = ONNX

    def export(self, student: Student, target: Path) -> None:
        """See :meth:`Format.export`."""
        export_onnx(student, target)

    def prune(self, source: Path, target: Path, size: int, network: TextNetwork) -> None:
        """See :meth:`Format.prune`."""
        graph = onnx.load(source)
        for tensor in graph.graph.initializer:
            if tensor.name in network.piece_tables:
                rows = numpy_helper.to_array(tensor)[:size]
                tensor.CopyFrom(numpy_helper.from_array(rows.copy(), tensor.name))
        onnx.save(graph, target)

    def divide(self, file: Path, temperature: float) -> None:
        """See :meth:`Format.divide`. A node at the end of the graph does it."""
        model = onnx.load(file)
        graph, [output] = model.graph, model.graph.output
        for node in graph.node:
            node.output[:] = [RAW if name == output.name else name for name in node.output]
            node.input[:] = [RAW if name == output.name else name for name in node.input]
        kind = onnx.helper.tensor_dtype_to_np_dtype(output.type.tensor_type.elem_type)
        graph.initializer.append(numpy_helper.from_array(np.array(temperature, kind), TEMPERATURE))
        graph.node.append(onnx.helper.make_node("Div", [RAW, TEMPERATURE], [output.name]))
        onnx.checker.check_model(model)
        onnx.save(model, file)

    def quantise(self, kind: str, source: Path, target: Path, batches: Batches, network: TextNetwork) -> None:
        """See :meth:`Format.quantise`."""
        QUANTISATIONS[kind](source, target, batches, network)


class Tables(Format):
    """Tables, for NumPy."""

    file = TABLES

    def export(self, student: Student, target: Path) -> None:
        """See :meth:`Format.export`."""
        write_tables(tables_of(student.network), target)

    def prune(self, source: Path, target: Path, size: int, network: TextNetwork) -> None:
        """See :meth:`Format.prune`."""
        write_tables(first_pieces(read_tables(source), size), target)

    def divide(self, file: Path, temperature: float) -> None:
        """See :meth:`Format.divide`. The heads and the bias are divided."""
        with np.load(file) as saved:
            arrays = dict(saved)
        for name in ("words_head", "wide_head", "bias"):
            arrays[name] = (arrays[name] / temperature).astype(arrays[name].dtype)
        np.savez(file, allow_pickle=False, **arrays)

    def quantise(self, kind: str, source: Path, target: Path, batches: Batches, network: TextNetwork) -> None:
        """See :meth:`Format.quantise`. All kinds of 8-bit integers are the same: nothing is calibrated."""
        write_tables(read_tables(source), target, kind)


def format_of(network: TextNetwork) -> Format:
    """Return the format in which ``network`` is served."""
    return Onnx() if network.encodes else Tables()
