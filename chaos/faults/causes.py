"""The faults. Each disturbs one thing when it is triggered, and repairs what would not recover by itself."""

from __future__ import annotations

import time
from collections.abc import Callable

from chaos.faults import neighbours
from chaos.faults.scene import Scene
from chaos.stage.database import LOADER, Database
from chaos.stage.wire import Link

Spring = Callable[[Link], None]
Fault = Callable[[Scene, Link], None]


def _stall(scene: Scene, link: Link) -> None:  # noqa: ARG001 - every fault takes both
    time.sleep(scene.trial.seconds)


def _restart(scene: Scene, _: Link) -> None:
    scene.server.restart()


def _terminate(scene: Scene, _: Link) -> None:
    some = "" if scene.choose.random() < 0.3 else " AND random() < 0.5"  # noqa: PLR2004 - sometimes all of them
    scene.database.run(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        f"WHERE datname = current_database() AND usename = '{LOADER}'{some}"
    )


def _use_up(scene: Scene, _: Link) -> None:
    def hold() -> None:
        admin = Database(scene.database.server, "postgres", scene.database.psql)
        admin.run(f"ALTER ROLE {LOADER} CONNECTION LIMIT 0")
        time.sleep(scene.trial.seconds)
        admin.run(f"ALTER ROLE {LOADER} CONNECTION LIMIT -1")

    scene.meanwhile(hold)
    time.sleep(0.2)


def _fill_disk(scene: Scene, _: Link) -> None:
    def hold() -> None:
        with scene.server.full_disk():
            time.sleep(scene.trial.seconds)

    scene.meanwhile(hold)
    time.sleep(0.05)


def _lock(scene: Scene, _: Link) -> None:
    lock = f"BEGIN; LOCK TABLE shop.target IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep({scene.trial.seconds}); COMMIT"
    scene.sessions.append(scene.database.start_in_background(lock))
    time.sleep(0.1)


def _lose_pooler(scene: Scene, _: Link) -> None:
    pooler = scene.pooler
    assert pooler is not None  # noqa: S101 - this trial has one
    pooler.kill()

    def come_back() -> None:
        time.sleep(scene.trial.seconds)
        pooler.start()

    scene.meanwhile(come_back)


def _somebody_else(scene: Scene, _: Link) -> None:
    scene.sessions.append(scene.database.start_in_background(neighbours.meanwhile(scene.trial)))
    time.sleep(scene.choose.choice((0.0, 0.1, 0.5)))


FAULTS: dict[str, Fault] = {
    "cut": lambda _, link: link.cut(),
    "lose answer": lambda _, link: link.cut(),
    "lose answer to COMMIT": lambda _, link: link.cut(),
    "half-close": lambda _, link: link.half_close(),
    "vanish": lambda _, link: link.vanish(),
    "slow down": lambda _, link: link.slow_down(),
    "stall": _stall,
    "kill worker": lambda scene, _: scene.driver.kill_worker(scene.choose),
    "kill executor": lambda scene, _: scene.driver.kill_executor(scene.choose),
    "lose shuffle": lambda scene, _: scene.driver.kill_executor(scene.choose),
    "kill driver": lambda scene, _: scene.driver.kill(),
    "kill task": lambda scene, _: scene.driver.kill_task(),
    "restart server": _restart,
    "terminate backends": _terminate,
    "use up connections": _use_up,
    "fill disk": _fill_disk,
    "clock jumps": lambda scene, _: scene.server.clock.jump(scene.choose),
    "pooler dies": _lose_pooler,
    "lock target": _lock,
    **dict.fromkeys(neighbours.NEIGHBOURS, _somebody_else),
}
"""The faults by name. The others are caused by a trial's input, its role, or another job beside it."""


def springing(scene: Scene) -> Spring | None:
    """Return the action of an ambush; None if the fault needs none."""
    fault = FAULTS.get(scene.trial.fault)
    return None if fault is None else lambda link: fault(scene, link)
