"""The registry: what is assigned when, and whose the alerts are."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select

from whir_fleet import machines
from whir_fleet.db import Database
from whir_fleet.errors import ConflictError, NotFoundError, RequestError
from whir_fleet.machine_specs import BadLinesError, MachineSpec
from whir_fleet.machines import Place
from whir_fleet.messages import Inbound
from whir_fleet.models import Alert, Assignment, Machine, Node, Point
from whir_fleet.store import store

Says = Callable[..., Inbound]
TWO = MachineSpec.model_validate({"rated_kw": 22, "points": [{"name": "de"}, {"name": "nde"}]})


def assign(database: Database, machine: str, point: str, node: str, from_ms: int) -> bool:
    with database.write() as session:
        return machines.assign(session, "lab", machines.find_point(session, "lab", machine, point), node, from_ms, "anna")


def at(database: Database, node: str, at_ms: int) -> Place | None:
    with database.read() as session:
        return machines.place_at(session, "lab", node, at_ms)


@pytest.fixture
def pump(database: Database) -> Database:
    with database.write() as session:
        machines.put(session, "lab", "pump", TWO, 1)
    return database


def test_a_node_belongs_to_its_point_for_the_time_of_its_assignment(pump: Database) -> None:
    assert assign(pump, "pump", "de", "n1", 100)
    assert not assign(pump, "pump", "de", "n1", 150), "it is there already"
    assert assign(pump, "pump", "de", "n2", 200)  # n1 is replaced
    assert [at(pump, "n1", t) for t in (99, 100, 199, 200)] == [None, Place("pump", "de"), Place("pump", "de"), None]
    assert [at(pump, "n2", t) for t in (199, 200)] == [None, Place("pump", "de")]
    assert assign(pump, "pump", "nde", "n2", 300)  # n2 moves
    assert at(pump, "n2", 250) == Place("pump", "de")
    assert at(pump, "n2", 300) == Place("pump", "nde")


def test_an_assignment_cannot_end_before_it_began(pump: Database) -> None:
    assign(pump, "pump", "de", "n1", 100)
    with pytest.raises(ConflictError, match="before it began"):
        assign(pump, "pump", "de", "n2", 100)
    with pytest.raises(RequestError, match="future"):
        machines.checked_time(101, 100)


def test_release_ends_it_and_a_free_point_cannot_be_released(pump: Database) -> None:
    assign(pump, "pump", "de", "n1", 100)
    with pump.write() as session:
        point = machines.find_point(session, "lab", "pump", "de")
        machines.release(session, point, 150)
        with pytest.raises(ConflictError, match="no node"):
            machines.release(session, point, 160)
    assert (at(pump, "n1", 149), at(pump, "n1", 150)) == (Place("pump", "de"), None)


def test_a_point_with_a_past_stays_and_one_without_may_go(pump: Database) -> None:
    assign(pump, "pump", "de", "n1", 100)
    with pump.write() as session:
        machines.put(session, "lab", "pump", MachineSpec.model_validate({"points": [{"name": "de"}, {"name": "top"}]}), 2)
        assert [p.name for p in machines.points_of(session, [1])] == ["de", "top"]
        with pytest.raises(ConflictError, match="has a history"):
            machines.put(session, "lab", "pump", MachineSpec(), 3)


def test_a_machine_is_removed_only_when_nobody_listens(pump: Database) -> None:
    assign(pump, "pump", "de", "n1", 100)
    with pump.write() as session:
        with pytest.raises(ConflictError, match="release it first"):
            machines.remove(session, "lab", "pump")
        machines.release(session, machines.find_point(session, "lab", "pump", "de"), 150)
        machines.remove(session, "lab", "pump")
        with pytest.raises(NotFoundError):
            machines.find(session, "lab", "pump")
        assert session.scalars(select(Assignment)).all() == session.scalars(select(Point)).all() == []


def test_nodes_at_two_points_of_a_machine_are_one_alert_and_an_unassigned_node_is_its_own_machine(
    pump: Database, says: Says
) -> None:
    assign(pump, "pump", "de", "n1", 0)
    assign(pump, "pump", "nde", "n2", 0)
    raised = [says("alert", node=node, seq=5, occurrence=f"{node}-1-5", machine="other") for node in ("n1", "n2")]
    with pump.write() as session:
        store(session, [*raised, says("alert", node="n3", seq=5, occurrence="n3-1-5")], 100)
    with pump.read() as session:
        assert sorted((a.machine, a.occurrences) for a in session.scalars(select(Alert))) == [("n3", 1), ("pump", 2)]
        places = machines.places(session, list(session.scalars(select(Node).order_by(Node.name))))
        assert list(places.values()) == [Place("pump", "de"), Place("pump", "nde"), Place("n3", None)]


def test_an_alert_from_the_spool_belongs_to_where_the_node_was_then(pump: Database, says: Says) -> None:
    assign(pump, "pump", "de", "n1", 100)
    with pump.write() as session:
        machines.put(session, "lab", "fan", TWO, 2)
    assign(pump, "fan", "de", "n1", 200)
    with pump.write() as session:
        store(session, [says("alert", seq=5, ts=150, received_ms=300)], 100)
    with pump.read() as session:
        assert session.scalars(select(Alert.machine)).one() == "pump"


def test_four_hundred_machines_come_from_a_file_and_again_changes_nothing(database: Database) -> None:
    text = "site,machine,point,rated_kw,node\n" + "".join(f"lab,m{i},de,{i + 1},n{i}\n" for i in range(400))
    with database.write() as session:
        done = machines.import_csv(session, text, "anna", 100)
        assert (done.machines, done.points, done.assigned) == (400, 400, 400)
    with database.write() as session:
        assert machines.import_csv(session, text, "anna", 200).assigned == 0
        assert len(session.scalars(select(Machine)).all()) == len(session.scalars(select(Assignment)).all()) == 400
    assert at(database, "n399", 100) == Place("m399", "de")


def test_a_file_with_one_wrong_line_changes_nothing(database: Database) -> None:
    with pytest.raises(BadLinesError, match="line 3: rated_kw"), database.write() as session:
        machines.import_csv(session, "site,machine,point,rated_kw\nlab,a,de,1\nlab,b,de,-1\n", "anna", 100)
    with database.read() as session:
        assert session.scalars(select(Machine)).all() == []
