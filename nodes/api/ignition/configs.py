"""ignition/configs/: named like pools, and edited alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Max, Q, QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from fleetui.core import clock
from fleetui.core.api.actions import IF_MATCH, Action
from fleetui.core.api.bodies import read_body
from fleetui.core.api.pagination import Sort
from fleetui.core.api.shapes import PageOf
from fleetui.core.api.views import Listing, fields_param
from fleetui.core.errors import InvalidInput
from nodes.api.groups import Named, NamedDetail
from nodes.api.ignition.bodies import ConfigBody
from nodes.api.ignition.shapes import CONFIG
from nodes.filters import IgnitionConfigFilter
from nodes.models import IgnitionConfig, Pool
from nodes.services.ignition import configs

_SORTS = {"name": Sort("name", unique=True), "created_at": Sort("created_at", kind="time")}
CONFIGS = Listing(CONFIG, _SORTS, "name", IgnitionConfigFilter)
_READ, _WRITE = "ignition.read", "ignition.edit"


class _Configs(Named):
    kind = "Ignition config"
    shape = CONFIG

    def rows(self) -> QuerySet[Any]:
        approved = Max("versions__number", filter=Q(versions__state="approved"))
        rows: QuerySet[Any] = IgnitionConfig.objects.visible_to(self.principal).annotate(approved_number=approved)
        return rows

    def shown(self, row: Any, status: int = 200) -> Response:
        response = super().shown(row, status)
        self.name_pools([response.data])
        return response

    def name_pools(self, rows: list[dict[str, Any]]) -> None:
        """Put the names of visible pools where the ids of the configs stand. One query for all rows."""
        ids = [row["pools"] for row in rows if "pools" in row]
        if not ids:
            return
        pools = Pool.objects.visible_to(self.principal).filter(ignition_configs__in=ids).order_by("name")
        names: dict[Any, list[str]] = {}
        for config_id, name in pools.values_list("ignition_configs", "name"):
            names.setdefault(config_id, []).append(name)
        for row in rows:
            row["pools"] = names.get(row["pools"], [])

    def named_pools(self, values: dict[str, Any]) -> dict[str, Any]:
        """The values with pools as rows; what the principal may not see is not there."""
        if "pools" in values:
            wanted = list(dict.fromkeys(values["pools"]))
            found = {pool.name: pool for pool in Pool.objects.visible_to(self.principal).filter(name__in=wanted)}
            missing = next((name for name in wanted if name not in found), None)
            if missing is not None:
                mend = "Name pools that you may see."
                raise InvalidInput(f"There is no pool {missing}.", field="pools", value=missing, mend=mend)
            values["pools"] = [found[name] for name in wanted]
        return values


class ConfigList(_Configs):
    """All configs that one may see."""

    actions = {
        "GET": Action(_READ, "ignition_configs_list", "List configs", {200: PageOf(CONFIG)}, query=CONFIGS.params),
        "POST": Action(_WRITE, "ignition_configs_create", "Add a config", {201: CONFIG}, body=ConfigBody),
    }

    def get(self, request: Request) -> Response:
        response = CONFIGS.answer(self.rows(), request)
        self.name_pools(response.data["results"])
        return response

    def post(self, request: Request) -> Response:
        values = self.named_pools(read_body(ConfigBody, request))
        return self.added(configs.add_config(**values, actor=self.principal, now=clock.now()))


class ConfigDetail(_Configs, NamedDetail):
    """One config, by name or id."""

    body = ConfigBody
    actions = {
        "GET": Action(_READ, "ignition_configs_read", "Read a config", {200: CONFIG}, query=(fields_param(CONFIG),)),
        "PUT": Action(
            _WRITE,
            "ignition_configs_replace",
            "Set all of a config",
            {200: CONFIG},
            body=ConfigBody,
            headers=(IF_MATCH,),
        ),
        "PATCH": Action(
            _WRITE, "ignition_configs_edit", "Edit a config", {200: CONFIG}, body=ConfigBody, headers=(IF_MATCH,)
        ),
        "DELETE": Action(
            _WRITE, "ignition_configs_delete", "Delete a config and its versions", {204: None}, headers=(IF_MATCH,)
        ),
    }

    def change(self, row: Any, changes: Mapping[str, Any], revision: int | None) -> None:
        wanted = self.named_pools(dict(changes))
        configs.edit_config(
            config=row, changes=wanted, actor=self.principal, now=clock.now(), expected_revision=revision
        )

    def forget(self, row: Any) -> None:
        configs.delete_config(config=row, actor=self.principal, now=clock.now())
