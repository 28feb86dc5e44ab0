"""The price cap. The highest price of a call is reserved before it is sent: concurrent calls cannot exceed the cap."""

import threading
import uuid
from dataclasses import dataclass

from stillhouse.labelling.language_model.cache import Cache
from stillhouse.params import Price

MILLION = 1e6
ROUNDING = 1e-9  # dollars
POLL_S = 0.5


class AtCap(Exception):
    """The next call may cost more than what is left below the cap."""


class Stopped(Exception):
    """The run ends, so no further call is sent."""


@dataclass(frozen=True)
class Reservation:
    """A call that may be sent: its ``id`` in the file of answers, and its highest price in dollars."""

    id: str
    worst: float


class Budget:
    """What calls may cost: dollars of all answers in the cache, and of the calls in flight."""

    def __init__(self, cache: Cache, price: Price, cap: float | None, stop: threading.Event) -> None:
        """``cap`` is in dollars; None: no cap. ``stop`` ends every wait."""
        self.cache, self.price, self.cap, self._stop = cache, price, cap, stop
        self._change = threading.Condition()
        self._in_flight = 0
        self._factor = 1.0  # by which a server has counted more tokens than the estimate

    def cost(self, prompt_tokens: float, completion_tokens: float) -> float:
        """Dollars of so many tokens; 0 without a price."""
        return (prompt_tokens * (self.price.input or 0) + completion_tokens * (self.price.output or 0)) / MILLION

    def reserve(self, prompt_tokens: int, completion_tokens: int) -> Reservation:
        """Reserve the price of so many tokens. Waits while calls in flight may leave more than they reserved.

        Raises:
            AtCap: it does not fit below the cap, and no call is in flight.
            Stopped: the run ends.
        """
        with self._change:
            while True:
                worst = self.cost(prompt_tokens * self._factor, completion_tokens)
                if self.cap is None or self.cache.dollars + worst <= self.cap + ROUNDING:
                    break
                if not self._in_flight:
                    raise AtCap
                self._change.wait(POLL_S)
                if self._stop.is_set():
                    raise Stopped
            made = Reservation(uuid.uuid4().hex[:16], worst)
            if worst:  # without a price there is nothing to record
                self.cache.add({"call": made.id, "worst": worst}, durable=False)
            self._in_flight += 1
            return made

    def end(self, call: Reservation, unpaid: bool = False) -> None:
        """The call has ended. Its answer was stored before; or it failed, and ``unpaid`` is whether it costs nothing.

        A failed call that may have been answered counts with its highest price.
        """
        with self._change:
            if unpaid and call.worst:
                self.cache.add({"unpaid": call.id}, durable=False)
            self._in_flight -= 1
            self._change.notify_all()

    def learn(self, estimated: int, counted: int) -> None:
        """Reserve more from now on if the server counts more tokens than the estimate."""
        self._factor = max(self._factor, counted / max(1, estimated))
