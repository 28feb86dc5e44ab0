"""A server with OpenAI's chat protocol that knows the labels of texts, and errs, refuses and fails as it was set up to.

``with scripted_server({"some text": "sports", ...}, right=0.9) as server:`` and then ``server.url``, ``server.answered``.
"""

import contextlib
import hashlib
import json
import math
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ABILITIES = ("logprobs", "n", "response_format", "seed", "temperature", "max_tokens", "max_completion_tokens")
OPTIONS = {"top_logprobs": "logprobs"}  # options that belong to an ability of another name
CLASS_LINE = re.compile(r"^([A-Z]+): (.+?)(?: - .*)?$", re.MULTILINE)
TEXT = re.compile(r"<text>\n(.*?)\n</text>", re.DOTALL)
WORDS = 1.0  # tokens for each word of a prompt


class ScriptedServer:
    """What the server knows, does and has done. All attributes may be changed while it runs.

    Attributes:
        labels: the true class of each text.
        right: share of texts that are answered correctly; which ones depends on the text alone.
        towards: the class of all wrong answers; None: any other class.
        supports: abilities; other options are rejected with status 400.
        drops: abilities that are accepted without any effect.
        faults: what happens at the next calls, one each: a status such as ``429`` or ``500``, ``quota``, ``hang``,
            ``broken``, ``half`` (a body that ends early), ``garbage`` (not JSON), ``error200`` (an error with status
            200), or an answer's text in a mapping, ``{"say": "..."}``.
        odd: share of texts that are answered by ``says``; which ones depends on the text alone.
        says: the text of odd answers.
        retry_after: the header of status 429.
        key: the key that callers must have.
        model: the only model that exists; None: any.
        context: tokens that a prompt may have.
        top: most ``top_logprobs``.
        delay: seconds before each answer.
        requests: bodies of all calls; ``answered``: of those that were answered with status 200 by a choice.
        tokens: prompt and completion tokens of the answered calls.
    """

    def __init__(self, labels: Mapping[str, str], right: float = 1.0, **changes: Any) -> None:
        self.labels, self.right = dict(labels), right
        self.towards: str | None = None
        self.supports, self.drops = set(ABILITIES), set[str]()
        self.faults: list[Any] = []
        self.odd, self.says = 0.0, "I would rather talk about the weather"
        self.retry_after: str | None = "0.05"
        self.key: str | None = None
        self.model: str | None = None
        self.context, self.top, self.delay = 100_000, 20, 0.0
        self.reports_usage = True
        self.requests: list[dict[str, Any]] = []
        self.answered: list[dict[str, Any]] = []
        self.keys_seen: list[str | None] = []
        self.tokens = Counter({"prompt": 0, "completion": 0})
        self.most_at_once = self._at_once = 0
        self.times: list[float] = []
        self.url = ""
        self.lock = threading.Lock()
        self.closing = threading.Event()
        for name, value in changes.items():
            assert hasattr(self, name), name
            setattr(self, name, value)

    @property
    def calls(self) -> int:
        """Answered calls, those that test the abilities included."""
        return len(self.answered)

    def dollars(self, price_input: float, price_output: float) -> float:
        return (self.tokens["prompt"] * price_input + self.tokens["completion"] * price_output) / 1e6

    # What it answers

    def chance(self, text: str, what: str) -> float:
        """A number from 0 to 1 that depends on the text alone."""
        return int.from_bytes(hashlib.sha256(f"{what} {text}".encode()).digest()[:6], "big") / 2**48

    def known(self, prompt: str) -> str | None:
        """The known text that the prompt ends with."""
        found = TEXT.findall(prompt)
        if found and found[-1] in self.labels:
            return found[-1]
        places = {text: prompt.rfind(text) for text in self.labels}
        last = max(places, key=lambda text: (places[text], len(text)), default=None)
        if last is not None and places[last] >= 0:
            return last
        begin = found[-1][:40] if found else None  # a text that was cut in the middle
        return next((text for text in self.labels if begin and text.startswith(begin)), None)

    def answer(self, text: str, classes: list[str]) -> str:
        """The class that this model has for the text."""
        truth = self.labels[text]
        if self.chance(text, "right") < self.right:
            return truth
        others = [name for name in classes if name != truth]
        if self.towards in others:
            return str(self.towards)
        return others[int(self.chance(text, "which") * len(others))]

    def probabilities(self, text: str, classes: list[str]) -> list[float]:
        """What the log-probabilities and the votes are from: surer where the answer is right."""
        answer = self.answer(text, classes)
        sure = (
            0.55 + 0.4 * self.chance(text, "sure")
            if answer == self.labels[text]
            else 0.4 + 0.3 * self.chance(text, "s")
        )
        return [sure if name == answer else (1 - sure) / (len(classes) - 1) for name in classes]

    def complete(self, body: dict[str, Any], say: str | None) -> dict[str, Any]:
        prompt = body["messages"][-1]["content"]
        limit = body.get("max_tokens") or body.get("max_completion_tokens") or 1000
        schema = self._on(body, "response_format")
        codes = {name: code for code, name in CLASS_LINE.findall(prompt.partition("<text>")[0])}
        text = self.known(prompt) if codes else None
        samples = body.get("n", 1) if self._on(body, "n") else 1
        seed = f"{body.get('seed')}" if self._on(body, "seed") else f"{len(self.requests)}"
        generator = random.Random(f"{seed} {prompt}")
        choices = []
        for index in range(samples):
            choice: dict[str, Any] = {"index": index, "finish_reason": "stop"}
            odd = text is not None and self.chance(text, "odd") < self.odd
            if say is not None or odd or text is None:
                content, top = say if say is not None else self.says if odd else "one two three four five six", []
                if schema and text is None and say is None:
                    enum = body["response_format"]["json_schema"]["schema"]["properties"]["label"]["enum"]
                    content = json.dumps({"label": enum[0]})
            else:
                names = list(codes)
                shares = self.probabilities(text, names)
                chosen = names[shares.index(max(shares))]
                if body.get("temperature", 0) > 0:
                    chosen = generator.choices(names, shares)[0]
                ranked = sorted(zip(shares, names, strict=True), reverse=True)
                content, top = codes[chosen], [(codes[name], share) for share, name in ranked]
                if schema:
                    content = json.dumps({"label": content})
            words = content.split(" ")
            if len(words) > limit:
                choice["finish_reason"], words = "length", words[:limit]
            choice["message"] = {"role": "assistant", "content": " ".join(words)}
            self.tokens["completion"] += len(words)
            if self._on(body, "logprobs"):
                choice["logprobs"] = {"content": self._tokens(words, top, body.get("top_logprobs", 0))}
            choices.append(choice)
        made: dict[str, Any] = {"id": "1", "object": "chat.completion", "model": body["model"], "choices": choices}
        spent = {
            "prompt_tokens": self.size(prompt),
            "completion_tokens": sum(len(c["message"]["content"].split(" ")) for c in choices),
        }
        self.tokens["prompt"] += spent["prompt_tokens"]
        return made | ({"usage": spent} if self.reports_usage else {})

    def size(self, prompt: str) -> int:
        return int(len(prompt.split()) * WORDS) + 3

    def _on(self, body: dict[str, Any], option: str) -> bool:
        return bool(body.get(option)) and option not in self.drops

    def _tokens(self, words: list[str], top: list[tuple[str, float]], count: int) -> list[dict[str, Any]]:
        made = []
        for place, word in enumerate(words):
            likely = top[:count] if place == 0 and top else [(word, 0.9), ("x", 0.1)]
            entries = [{"token": token, "logprob": math.log(max(share, 1e-9))} for token, share in likely]
            made.append({"token": word, "logprob": entries[0]["logprob"], "top_logprobs": entries})
        return made

    def refusal(self, body: dict[str, Any], key: str | None) -> tuple[int, dict[str, Any]] | None:
        """The status and error of a request that is not accepted."""
        if self.key is not None and key != f"Bearer {self.key}":
            return 401, {"message": f"Incorrect API key provided: {key}", "code": "invalid_api_key"}
        if self.model is not None and body["model"] != self.model:
            return 404, {"message": f"model '{body['model']}' not found", "code": "model_not_found"}
        for option in body:
            ability = OPTIONS.get(option, option)
            if ability in ABILITIES and ability not in self.supports and ability not in self.drops:
                return 400, {"message": f"Unsupported parameter: '{option}'", "param": option}
        if body.get("top_logprobs", 0) > self.top:
            return 400, {"message": f"top_logprobs must be at most {self.top}", "param": "top_logprobs"}
        if self.size(body["messages"][-1]["content"]) > self.context:
            return 400, {"message": f"maximum context length is {self.context}", "code": "context_length_exceeded"}
        return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Http"

    def do_POST(self) -> None:
        script = self.server.script
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with script.lock:
            script.requests.append(body)
            script.times.append(time.monotonic())
            script.keys_seen.append(self.headers.get("Authorization"))
            fault = script.faults.pop(0) if script.faults else None
            script._at_once += 1
            script.most_at_once = max(script.most_at_once, script._at_once)
        try:
            self.respond(script, body, fault)
        finally:
            with script.lock:
                script._at_once -= 1

    def respond(self, script: ScriptedServer, body: dict[str, Any], fault: Any) -> None:
        if not self.path.endswith("/v1/chat/completions"):
            return self.reply(404, {"error": {"message": "no such page"}})
        if fault == "hang":
            script.closing.wait(60)
        if fault in ("hang", "broken"):
            self.close_connection = True
            return None
        if fault == "quota":
            return self.reply(429, {"error": {"message": "You exceeded your quota", "type": "insufficient_quota"}})
        if fault == "garbage":
            return self.reply(200, None, b'{"choices": [{"mess')
        if fault == "error200":
            return self.reply(200, {"error": {"message": "Provider is overloaded", "code": 502}})
        if isinstance(fault, int):
            return self.reply(fault, {"error": {"message": f"fault {fault}", "type": "server_error"}})
        refused = script.refusal(body, self.headers.get("Authorization"))
        if refused:
            return self.reply(refused[0], {"error": refused[1]})
        script.closing.wait(script.delay)
        with script.lock:
            content = script.complete(body, fault["say"] if isinstance(fault, dict) else None)
            script.answered.append(body)
        return self.reply(200, content, half=fault == "half")

    def reply(self, status: int, content: Any, data: bytes = b"", half: bool = False) -> None:
        data = data or json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if status == 429 and self.server.script.retry_after is not None:
            self.send_header("Retry-After", self.server.script.retry_after)
        self.end_headers()
        with contextlib.suppress(OSError):  # the caller was killed
            self.wfile.write(data[: len(data) // 2] if half else data)
        self.close_connection = self.close_connection or half

    def log_message(self, *_: Any) -> None:
        pass


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    script: ScriptedServer

    def handle_error(self, *_: Any) -> None:  # callers that were killed
        pass


@contextlib.contextmanager
def scripted_server(labels: Mapping[str, str], right: float = 1.0, **changes: Any) -> Iterator[ScriptedServer]:
    """Serve on a free port of this machine. ``changes`` are attributes of :class:`ScriptedServer`."""
    script = ScriptedServer(labels, right, **changes)
    http = _Http(("127.0.0.1", 0), _Handler)
    http.script = script
    script.url = f"http://127.0.0.1:{http.server_address[1]}/v1"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield script
    finally:
        script.closing.set()
        http.shutdown()
        http.server_close()
