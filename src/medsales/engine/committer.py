"""Group commit: one thread does together whatever is waiting, and answers once it is durable."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, NamedTuple, TypeVar

J = TypeVar("J")
A = TypeVar("A")


class Overloaded(Exception):
    """Too much is waiting already, or we are closing: nothing was done, please come again."""


class Waiting(NamedTuple, Generic[J, A]):
    """A job in the queue, how much it weighs, and who waits for its answer."""

    job: J
    weight: int
    answer: "Future[A]"


class Committer(Generic[J, A]):
    """A queue with one server.

    It never lingers: the queue fills while the batch before is being committed, so batches grow by
    themselves with the number of callers. `work` answers each job of a batch for itself; what it
    raises is the answer to the whole batch.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[Sequence[J]], Sequence[A | Exception]],
        *,
        most: int = 256,
        bound: int = 4096,
    ) -> None:
        self.name = name
        self.work = work
        self.most = most
        """What the jobs of a batch may weigh together; a heavier one goes alone."""
        self.bound = bound
        """From this weight of waiting jobs on, further ones are turned away."""
        self.queue: deque[Waiting[J, A]] = deque()
        self.load = 0
        self.batches = 0
        self.jobs = 0
        self.seconds = 0.0
        """Spent on batches so far."""
        self.closing = False
        self.thread: threading.Thread | None = None
        self.news = threading.Condition(threading.Lock())

    def submit(self, job: J, weight: int = 1) -> "Future[A]":
        """Raises Overloaded at once, rather than let everybody wait in vain."""
        waiting = Waiting[J, A](job, weight, Future())
        with self.news:
            if self.closing:
                raise Overloaded("this server is closing; please come again in a moment")
            if self.load >= self.bound:
                raise Overloaded("too many commands are waiting; please come again in a moment")
            self.queue.append(waiting)
            self.load += weight
            self.thread = self.thread or self._started()
            self.news.notify()
        return waiting.answer

    def close(self) -> None:
        """Takes nothing more, finishes what is waiting, and returns."""
        with self.news:
            self.closing = True
            self.news.notify()
        if self.thread:
            self.thread.join()

    def _started(self) -> threading.Thread:
        thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        thread.start()
        return thread

    def _run(self) -> None:
        while batch := self._next():
            # Whoever has gone away before his turn is not served.
            self._answer([w for w in batch if w.answer.set_running_or_notify_cancel()])

    def _next(self) -> list[Waiting[J, A]]:
        """Waits for jobs; none come any more when this is empty."""
        batch: list[Waiting[J, A]] = []
        with self.news:
            while not self.queue and not self.closing:
                self.news.wait()
            weight = 0
            while self.queue and (not batch or weight + self.queue[0].weight <= self.most):
                batch.append(self.queue.popleft())
                weight += batch[-1].weight
            self.load -= weight
        return batch

    def _answer(self, batch: Sequence[Waiting[J, A]]) -> None:
        begun = time.perf_counter()
        try:
            answers = self.work([waiting.job for waiting in batch])
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it
            answers = [error] * len(batch)
        self.seconds += time.perf_counter() - begun
        self.batches += 1
        self.jobs += len(batch)
        for waiting, answer in zip(batch, answers, strict=True):
            if isinstance(answer, Exception):
                waiting.answer.set_exception(answer)
            else:
                waiting.answer.set_result(answer)
