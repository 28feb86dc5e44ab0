"""What every flow that works on a project goes through: the project for itself, and a Prefect server to talk to."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterName,
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run as runtime
from prefect.states import Crashed, Failed, State

from flows.shared.notify import notify
from flows.shared.server import prefect_server
from flows.shared.stopping import take_signals
from stillhouse.errors import BadInput, StillhouseError
from stillhouse.params import Params, load_params
from stillhouse.params.flow import Flow as Settings
from stillhouse.pipeline.lock import note_runs, project_lock, unfinished_runs

_mine: list[str] = []  # flow runs of this process


def run_flow(flow: Callable[..., Any], alone: bool = True, **parameters: Any) -> Any:
    """Run a flow here and now; its result. ``alone``: it changes the project, so nothing else may meanwhile.

    Raises:
        BadInput: with the flow's own message, where it failed.
    """
    if not alone:
        return _run(flow, parameters)
    settings = load_params().flow
    with project_lock(settings.when_busy, print):  # waited for here, before anything is started
        return _run(flow, parameters)


def _run(flow: Callable[..., Any], parameters: dict[str, Any]) -> Any:
    with prefect_server():
        state = flow(**parameters, return_state=True)
        if not state.is_completed():
            raise BadInput(str(state.message))
        return state.result()


def in_turn(work: Callable[[Params], dict[str, Any]]) -> dict[str, Any] | State[Any]:
    """Within a flow: what ``work`` gives while the project is this flow's; a user's mistake fails with its message."""
    try:
        params = load_params()
        with turn(params.flow):
            return work(params)
    except StillhouseError as error:  # the user's to mend: a message, not a traceback
        return Failed(message=str(error))


@contextmanager
def turn(settings: Settings) -> Iterator[None]:
    """Within a flow: the project is this flow's, and what dead ones left behind is put in order.

    Raises:
        BadInput: another run works on the project, and ``flow.when_busy`` is ``fail``.
    """
    take_signals()
    with project_lock(settings.when_busy, get_run_logger().warning):
        run, others = str(runtime.id), list(_mine)
        dead = [run for run in unfinished_runs() if run not in others]
        note_runs([*dead, *others, run])
        _mark_crashed(dead)
        if dead:
            notify(
                settings.notify, f"{len(dead)} earlier run(s) of {Path.cwd().name} died; this one goes on from there"
            )
        _mine.append(run)
        note_runs(_mine)
        try:
            yield
            ended = True
        except Exception:
            ended = True
            raise
        except BaseException:  # whether Prefect hears of it is not sure: the next one looks again
            ended = False
            raise
        finally:
            _mine.remove(run)
            if ended:
                note_runs(_mine)


def crash_stale_runs(flow: str, deployment: str) -> None:
    """Tell Prefect that runs of a deployment died, where nothing works on the project and yet some seem to be running.

    A machine that was switched off cannot say so itself.
    """
    try:
        with project_lock("fail", print):
            with get_client(sync_client=True) as client:
                living = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
                found = client.read_flow_runs(
                    flow_filter=FlowFilter(name=FlowFilterName(any_=[flow])),
                    deployment_filter=DeploymentFilter(name=DeploymentFilterName(any_=[deployment])),
                    flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=living))),
                )
            _mark_crashed([*unfinished_runs(), *(str(run.id) for run in found)])
            note_runs([])
    except BadInput:  # a run is at work: it is none of the dead
        return


def _mark_crashed(runs: list[str]) -> None:
    with get_client(sync_client=True) as client:
        for run in runs:
            try:
                state = client.read_flow_run(UUID(run)).state
                if state is None or not state.is_final():
                    client.set_flow_run_state(UUID(run), Crashed(message="Its process is gone."), force=True)
            except ObjectNotFound:  # of another server, or cleaned away
                continue
