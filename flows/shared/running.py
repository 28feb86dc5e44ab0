"""Run a flow: hold the lock of the project, and provide a Prefect server."""

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
from flows.shared.stopping import handle_signals
from flows.shared.terminal import live_lines
from stillhouse.errors import BadInput, StillhouseError
from stillhouse.params import Params, load_params
from stillhouse.params.flow import Flow as Settings
from stillhouse.pipeline.lock import project_lock, record_flow_runs, unfinished_flow_runs

_own: list[str] = []  # flow runs of this process


def run_flow(flow: Callable[..., Any], exclusive: bool = True, **parameters: Any) -> Any:
    """Run a flow in this process.

    Args:
        flow: the flow.
        exclusive: hold the lock of the project, for a flow that changes the project.
        parameters: parameters of the flow.

    Returns:
        The result of the flow.

    Raises:
        BadInput: the flow failed; with its message.
    """
    if not exclusive:
        return _run(flow, parameters)
    settings = load_params().flow
    with project_lock(settings.when_busy, print):  # wait here, before anything is started
        return _run(flow, parameters)


def _run(flow: Callable[..., Any], parameters: dict[str, Any]) -> Any:
    with prefect_server(), live_lines():
        state = flow(**parameters, return_state=True)
        if not state.is_completed():
            raise BadInput(str(state.message))
        return state.result()


def run_exclusively(work: Callable[[Params], dict[str, Any]]) -> dict[str, Any] | State[Any]:
    """Within a flow: return the result of ``work`` while the lock is held, or a failed state with a user's mistake."""
    try:
        params = load_params()
        with hold_project(params.flow):
            return work(params)
    except StillhouseError as error:  # a user's mistake: a message, not a traceback
        return Failed(message=str(error))


@contextmanager
def hold_project(settings: Settings) -> Iterator[None]:
    """Within a flow: hold the lock of the project, and mark dead flow runs as crashed.

    Raises:
        BadInput: another run works on the project, and ``flow.when_busy`` is ``fail``.
    """
    handle_signals()
    with project_lock(settings.when_busy, get_run_logger().warning):
        run, others = str(runtime.id), list(_own)
        dead = [run for run in unfinished_flow_runs() if run not in others]
        record_flow_runs([*dead, *others, run])
        _mark_crashed(dead)
        if dead:
            notify(
                settings.notify, f"{len(dead)} earlier run(s) of {Path.cwd().name} died; this one goes on from there"
            )
        _own.append(run)
        record_flow_runs(_own)
        try:
            yield
            ended = True
        except Exception:
            ended = True
            raise
        except BaseException:  # Prefect may not record the end of this run: the next run checks it
            ended = False
            raise
        finally:
            _own.remove(run)
            if ended:
                record_flow_runs(_own)


def crash_stale_runs(flow: str, deployment: str) -> None:
    """Mark running flow runs of a deployment as crashed if no run works on the project.

    A machine that was switched off could not report the end of its runs.
    """
    try:
        with project_lock("fail", print):
            with get_client(sync_client=True) as client:
                active = [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]
                found = client.read_flow_runs(
                    flow_filter=FlowFilter(name=FlowFilterName(any_=[flow])),
                    deployment_filter=DeploymentFilter(name=DeploymentFilterName(any_=[deployment])),
                    flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=active))),
                )
            _mark_crashed([*unfinished_flow_runs(), *(str(run.id) for run in found)])
            record_flow_runs([])
    except BadInput:  # a run works on the project, so its flow run has not crashed
        return


def _mark_crashed(runs: list[str]) -> None:
    with get_client(sync_client=True) as client:
        for run in runs:
            try:
                state = client.read_flow_run(UUID(run)).state
                if state is None or not state.is_final():
                    client.set_flow_run_state(UUID(run), Crashed(message="Its process is gone."), force=True)
            except ObjectNotFound:  # of another server, or deleted
                continue
