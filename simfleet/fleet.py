"""A fleet: its hosts, its clock, what happens to them, and the folder that remembers it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import re
import resource
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from simfleet import inventory, keys, plan, storage, transitions
from simfleet.answers import born
from simfleet.demo import demo_plans
from simfleet.model import Fault, Host, HostPlan
from simfleet.past import past
from simfleet.releases import Catalog
from simfleet.server import DROP_DELAY_S, USERNAME, HostServer
from simfleet.storage import FleetError

DEFAULT_PORT = 2222
FALLBACK_PORT = 22_000
HOSTS_PER_BLOCK = 200
NETS = tuple(f"127.{number}" for number in range(77, 97))
HOST_KEY = "/etc/ssh/ssh_host_ed25519_key"
LOOPBACK_NET = re.compile(r"^127\.(1?\d?\d|2[0-4]\d|25[0-5])$")
SAVE_DELAY_S = 1.0
# The faults that take a value, and the highest one; the lowest is 0.
HIGHEST_VALUE = {Fault.SLOW: 3600.0, Fault.FULL_DISK: 100.0}
DEFAULT_FAULT = {Fault.SLOW: 3.0, Fault.FULL_DISK: transitions.FULL_DISK_PERCENT}


@dataclass(frozen=True, slots=True)
class Settings:
    """How a fleet is to be."""

    directory: Path
    nodes: int = 20
    seed: int = 7
    demo: bool = False
    net: str | None = None
    reboot_s: float = 6.0
    transaction_s: float = 3.0


def address_of(net: str, index: int) -> tuple[str, int]:
    """Address and port of a host, on its own loopback address or on a port of 127.0.0.1."""
    if net == "127.0.0.1":
        return net, FALLBACK_PORT + index
    return f"{net}.{1 + index // HOSTS_PER_BLOCK}.{1 + index % HOSTS_PER_BLOCK}", DEFAULT_PORT


class Fleet:
    """All hosts of one process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.catalog = Catalog()
        self.transaction_s = settings.transaction_s
        self.born_dir = settings.directory / storage.BORN
        self.hosts: dict[str, Host] = {}
        self.servers: dict[str, HostServer] = {}
        self._state = storage.read_state(settings.directory) or {}
        self._check_settings()
        self._state.setdefault("created_at", time.time())
        self._published: list[dict[str, Any]] = self._state.get("published", [])
        self._save_timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.started = False

    def _check_settings(self) -> None:
        net = self.settings.net
        if net is not None and net != "127.0.0.1" and not LOOPBACK_NET.match(net):
            raise FleetError(f"{net} is not a loopback network: give two numbers such as 127.77, or 127.0.0.1.")
        wanted: dict[str, Any] = {
            "seed": self.settings.seed,
            "demo": self.settings.demo,
            "nodes": self.settings.nodes,
        }
        if not self._state:
            self._state = dict(wanted)
            return
        held = {name: self._state.get(name) for name in wanted}
        if wanted["demo"] and held["demo"]:
            wanted["nodes"] = held["nodes"]
        if held != wanted:
            kind = "the demo" if held["demo"] else f"{held['nodes']} hosts"
            raise FleetError(
                f"{self.settings.directory} holds a fleet of {kind} with seed {held['seed']}:"
                " choose another folder with --dir, or remove it."
            )

    def now(self) -> float:
        """The time."""
        return time.time()

    # starting and stopping

    def start(self) -> None:
        """Make the hosts and listen on all of them."""
        _raise_file_limit()
        plans = (
            demo_plans(self.settings.seed)
            if self.settings.demo
            else plan.plans(self.settings.nodes, self.settings.seed)
        )
        client_public = keys.client_key(self.settings.directory).public_data
        net = self._open_all(plans, client_public)
        self._state["net"] = net
        # After the hosts were made: what they were from the start does not depend on later releases.
        for row in self._published:
            self.catalog.publish(row["version"], datetime.fromtimestamp(row["at"], UTC), bad=row["bad"])
        self.save()
        self.started = True

    def _open_all(self, plans: list[HostPlan], client_public: bytes) -> str:
        held = self._state.get("net")
        chosen = self.settings.net or held
        for net in [chosen] if chosen else [*NETS, "127.0.0.1"]:
            self._make_hosts(plans, net, client_public)
            try:
                self._listen()
            except OSError as error:
                self._close_all()
                if error.errno == errno.EADDRNOTAVAIL and net != "127.0.0.1" and not held:
                    return self._open_fallback(plans, client_public)
                if chosen or error.errno != errno.EADDRINUSE:
                    raise FleetError(
                        f"The addresses {net}.* cannot be used: {error.strerror}. Choose others with --net, for example --net 127.98."
                    ) from None
            else:
                return net
        raise FleetError("No free loopback addresses were found: stop another simulated fleet first.")

    def _open_fallback(self, plans: list[HostPlan], client_public: bytes) -> str:
        self._make_hosts(plans, "127.0.0.1", client_public)
        try:
            self._listen()
        except OSError as error:
            self._close_all()
            raise FleetError(f"The ports of 127.0.0.1 from {FALLBACK_PORT} cannot be used: {error.strerror}.") from None
        return "127.0.0.1"

    def _make_hosts(self, plans: list[HostPlan], net: str, client_public: bytes) -> None:
        created_at = float(self._state["created_at"])
        saved = self._state.get("hosts", {})
        for index, row in enumerate(plans):
            address, port = address_of(net, index)
            host = transitions.first_state(self.settings.seed, row, self.catalog, address, port, created_at)
            if row.name in saved:
                host.restore(saved[row.name])
            self.hosts[row.name] = host
            self.servers[row.name] = HostServer(host, self, client_public)

    def _listen(self) -> None:
        for server in self.servers.values():
            # Also the unreachable ones, so that an address which is taken is found at the start.
            server.open()
        for server in self.servers.values():
            server.follow_faults()

    def _close_all(self) -> None:
        for server in self.servers.values():
            server.close()

    async def stop(self) -> None:
        """Close everything and save."""
        self._close_all()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for host in self.hosts.values():
            if host.rebooting:
                transitions.boot(host, self.catalog, self.now())
            host.down_until = 0.0
        self.save()

    # state

    def changed(self, host: Host) -> None:
        """Note that a host must be saved soon."""
        host.touched = True
        if self._save_timer is None:
            with contextlib.suppress(RuntimeError):
                self._save_timer = asyncio.get_running_loop().call_later(SAVE_DELAY_S, self.save)

    def save(self) -> None:
        """Write the state of all hosts that differ from their first state."""
        if self._save_timer is not None:
            self._save_timer.cancel()
            self._save_timer = None
        self._state["hosts"] = {name: host.saved() for name, host in self.hosts.items() if host.touched}
        self._state["published"] = self._published
        storage.write_json(self.settings.directory / storage.STATE, self._state)

    @property
    def key_file(self) -> str:
        """The private key that all hosts accept."""
        return str((self.settings.directory / keys.CLIENT_KEY).resolve())

    def manifest(self) -> dict[str, Any]:
        """What a product needs to be told of the fleet."""
        return {
            "key_file": self.key_file,
            "releases": self.catalog.as_json(),
            "other_releases": {"flatcar": self.catalog.as_json("flatcar")},
            "pools": plan.pools(),
            "hosts": [self.row(host) for host in self.hosts.values()],
            **self._past(),
        }

    def _past(self) -> dict[str, Any]:
        """Only the demo has one: a fleet for measurements begins empty."""
        if not self.settings.demo:
            return {}
        plans = [host.plan for host in self.hosts.values()]
        return {
            "born_dir": str(self.born_dir.resolve()),
            "past": past(plans, self.catalog, self.settings.seed, self.now()),
        }

    def row(self, host: Host) -> dict[str, Any]:
        """One host in the manifest."""
        return {
            "name": host.name,
            "address": host.address,
            "port": host.port,
            "username": USERNAME,
            "host_key": keys.host_key_line(host.seed, host.name, host.key_text),
            "pool": host.plan.pool,
            "labels": host.plan.labels,
            "story": host.plan.story,
        }

    def write_manifest(self) -> None:
        """Say where the hosts are: last of a start, so that whoever sees it can also command the fleet."""
        manifest = self.manifest()
        storage.write_text(self.settings.directory / inventory.INVENTORY, inventory.ansible(manifest))
        storage.write_text(self.settings.directory / inventory.KNOWN_HOSTS, inventory.known_hosts(manifest))
        storage.write_json(self.settings.directory / storage.MANIFEST, manifest)

    # what happens to hosts

    def host(self, name: str) -> Host:
        """The host of that name."""
        if name not in self.hosts:
            raise FleetError(f"There is no host named {name}.")
        return self.hosts[name]

    def reboot(self, host: Host) -> None:
        """Go down shortly, come back with a new boot id."""
        if host.rebooting:
            return
        host.rebooting = True
        task = asyncio.get_running_loop().create_task(self._reboot(host))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def recreate(self, name: str, config: str) -> None:
        """Another machine takes the place of a host: it is born with this Ignition config, and shows the host key in it."""
        old = self.host(name)
        if old.rebooting:
            raise FleetError(f"{name} reboots: try again when it is back.")
        try:
            files = born.written(json.loads(config))
            key = files[HOST_KEY]
        except (ValueError, KeyError, AttributeError) as error:
            raise FleetError(f"This is no Ignition config with a host key: {error}.") from None
        keys.given_key(key)
        host = transitions.first_state(
            self.settings.seed, old.plan, self.catalog, old.address, old.port, float(self._state["created_at"])
        )
        host.generation, host.boot_count, host.key_text, host.written = old.generation + 1, old.boot_count, key, files
        self.born_dir.mkdir(mode=0o700, exist_ok=True)
        storage.write_text(self.born_dir / f"{name}.ign", config)
        self.hosts[name] = host
        self.servers[name].becomes(host)
        self.reboot(host)

    async def _reboot(self, host: Host) -> None:
        await asyncio.sleep(DROP_DELAY_S)
        host.down_until = self.now() + self.settings.reboot_s
        self.servers[host.name].close()
        transitions.boot(host, self.catalog, host.down_until)
        self.changed(host)
        await asyncio.sleep(self.settings.reboot_s)
        host.down_until = 0.0
        self.servers[host.name].follow_faults()

    def set_fault(self, name: str, fault: Fault, *, on: bool, value: float | None = None) -> None:
        """Switch a fault on or off."""
        host = self.host(name)
        highest = HIGHEST_VALUE.get(fault)
        if value is not None and (highest is None or not 0 <= value <= highest):
            takes = "takes no value" if highest is None else f"takes a value from 0 to {highest:g}"
            raise FleetError(f"The fault {fault.value} {takes}, not {value:g}.")
        if on:
            default = self.now() if fault is Fault.SESSION else DEFAULT_FAULT.get(fault, 1.0)
            host.faults[fault.value] = default if value is None else value
            host.stuck_cleared = host.stuck_cleared and fault is not Fault.STUCK_TRANSACTION
        else:
            host.faults.pop(fault.value, None)
        self.changed(host)
        if not host.down_until:
            self.servers[name].follow_faults()
        pending = host.pending
        held_up = fault is Fault.SESSION and not on and host.plan.strategy == "immediate"
        if held_up and pending and pending.staged and host.agent_version == pending.version:
            # The agent waited only for the person to sign out.
            pending.locked = False
            self.reboot(host)

    def beside(self, host: Host) -> list[Host]:
        """The hosts of its pool, itself among them."""
        return [one for one in self.hosts.values() if one.plan.pool == host.plan.pool]

    def newest(self, host: Host) -> str:
        """The newest version of the host's stream."""
        return self.catalog.tip(host.booted.stream).version

    def stage(self, name: str, *, by_agent: bool) -> str:
        """Stage the newest release of the host's stream: by Zincati (locked) or by hand."""
        host = self.host(name)
        release = self.catalog.tip(host.booted.stream)
        if release.version == host.deployments[0].version:
            return f"{name} has {release.version} already."
        if host.plan.os == "flatcar":
            by_agent = False
        transitions.stage(host, release, locked=by_agent, by_agent=by_agent)
        self.changed(host)
        return f"{name} staged {release.version}."

    def publish(self, version: str, *, bad: bool) -> str:
        """Add a release; hosts that boot a bad one fall back."""
        now = self.now()
        release = self.catalog.publish(version, datetime.fromtimestamp(now, UTC), bad=bad)
        self._published.append({"version": version, "at": int(now), "bad": bad})
        self.save()
        self.write_manifest()
        return release.stream


def _raise_file_limit() -> None:
    """Every host listens on a socket of its own."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
