"""The hardware and the workload of a host: varied, plausible, and always the same for one seed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from simfleet import seeds

GIB = 1024**3
MIB = 1024**2


@dataclass(frozen=True, slots=True)
class Machine:
    """A kind of machine."""

    vendor: str
    product: str
    board: str
    cpu_model: str
    cpus: tuple[int, ...]
    memory_gib: tuple[int, ...]
    virtualization: str
    nic: str
    nic_driver: str
    disk: str
    disk_model: str | None
    disk_gib: int


MACHINES = (
    Machine("Dell Inc.", "PowerEdge R650", "0PYXKY", "Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz", (64, 128), (256, 512),
            "none", "eno{0}np0", "i40e", "nvme0n1", "Dell Ent NVMe P5600 MU U.2 1.6TB", 1490),
    Machine("HPE", "ProLiant DL360 Gen10", "ProLiant DL360 Gen10", "Intel(R) Xeon(R) Silver 4214 CPU @ 2.20GHz",
            (24, 48), (96, 192), "none", "ens{0}f0", "bnx2x", "sda", "LOGICAL VOLUME", 894),
    Machine("Supermicro", "SYS-E300-9D", "X11SDV-4C-TLN2F", "Intel(R) Xeon(R) D-2123IT CPU @ 2.20GHz", (8,), (32, 64),
            "none", "eno{0}", "ixgbe", "nvme0n1", "INTEL SSDPEKNW512G8", 476),
    Machine("Intel(R) Client Systems", "NUC11TNHi5", "NUC11TNBi5", "11th Gen Intel(R) Core(TM) i5-1135G7 @ 2.40GHz",
            (8,), (16, 32), "none", "enp{0}s0", "igc", "nvme0n1", "Samsung SSD 980 500GB", 465),
    Machine("QEMU", "Standard PC (Q35 + ICH9, 2009)", "", "AMD EPYC-Milan Processor", (2, 4, 8), (4, 8, 16), "kvm",
            "enp{0}s0", "virtio_net", "vda", None, 40),
    Machine("VMware, Inc.", "VMware20,1", "440BX Desktop Reference Platform", "Intel(R) Xeon(R) Gold 6248R CPU @ 3.00GHz",
            (4, 8), (16, 32), "vmware", "ens{0}", "vmxnet3", "sda", "Virtual disk", 120),
)  # fmt: skip
BY_ROLE = {"web": (4, 5), "edge": (2, 3), "db": (0, 1), "k8s": (1, 4, 5)}

IMAGES = {
    "web": (("caddy", "docker.io/library/caddy:2.10"), ("shop-frontend", "registry.sim.example/shop/frontend:{0}.4.1"),
            ("shop-api", "registry.sim.example/shop/api:{0}.9.0")),
    "edge": (("haproxy", "docker.io/library/haproxy:3.2-alpine"), ("cache", "docker.io/library/varnish:7.7")),
    "db": (("postgres", "docker.io/library/postgres:17.{0}"), ("pgbackrest", "registry.sim.example/db/pgbackrest:2.5{0}")),
}  # fmt: skip
#: By whom containers are run: all others are Quadlets.
PLAIN_UNITS = frozenset({"node-exporter"})
BY_HAND = frozenset({"pgbackrest"})
PORTS = {"caddy": 443, "haproxy": 443, "postgres": 5432}
EXPORTER = ("node-exporter", "quay.io/prometheus/node-exporter:v1.9.1")
PODS = {
    "k8s-control": ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd", "kube-proxy"),
    "k8s-worker": ("kube-proxy", "cilium-agent", "coredns", "payments", "search-index"),
}


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a host."""

    name: str
    image: str
    container_id: str
    image_id: str
    size_bytes: int
    state: str

    @property
    def unit(self) -> str:
        """The unit that runs it; empty for one that a person started."""
        return "" if self.name in BY_HAND else f"{self.name}.service"


@dataclass(frozen=True, slots=True)
class Profile:
    """All that stays the same on a host."""

    machine: Machine
    cpus: int
    memory_bytes: int
    nic: str
    mac: str
    network_address: str
    second_mac: str
    disk_bytes: int
    root_used: float
    boot_used: float
    containers: tuple[Container, ...]
    cpu_load: float


@lru_cache(maxsize=8192)
def profile(seed: int, name: str, role: str) -> Profile:
    """The profile of a host."""
    rng = seeds.generator(seed, name, "profile")
    machine = MACHINES[rng.choice(BY_ROLE.get(role.split("-")[0], (4,)))]
    cpus = rng.choice(machine.cpus)
    number = seeds.number(seed, name, "address")
    return Profile(
        machine=machine,
        cpus=cpus,
        memory_bytes=rng.choice(machine.memory_gib) * GIB - rng.randrange(90, 420) * MIB,
        nic=machine.nic.format(rng.choice((1, 2, 3))),
        mac=_mac(seed, name, 0),
        network_address=f"10.{20 + number % 40}.{number // 40 % 250}.{10 + number // 10_000 % 240}",
        second_mac=_mac(seed, name, 1),
        disk_bytes=machine.disk_gib * GIB,
        root_used=rng.uniform(0.14, 0.68),
        boot_used=rng.uniform(0.42, 0.63),
        containers=_containers(seed, name, role),
        cpu_load=rng.uniform(0.03, 0.55) * cpus,
    )


def _mac(seed: int, name: str, index: int) -> str:
    raw = seeds.digest(seed, name, "mac", index)
    return ":".join(f"{byte:02x}" for byte in bytes([0x02, *raw[:5]]))


def _containers(seed: int, name: str, role: str) -> tuple[Container, ...]:
    if role in PODS:
        tag = 1 + seeds.number(seed, "tag", role) % 3
        listed = tuple((pod, f"registry.sim.example/cluster/{pod}:1.3{tag}.2") for pod in PODS[role])
    else:
        version = 3 + seeds.number(seed, name, "version") % 2
        listed = (*((short, image.format(version)) for short, image in IMAGES.get(role, ())), EXPORTER)
    return tuple(_container(seed, name, short, image) for short, image in listed)


def _container(seed: int, name: str, short: str, image: str) -> Container:
    stopped = short == "pgbackrest" or seeds.number(seed, name, short, "state") % 29 == 0
    return Container(
        name=short,
        image=image,
        container_id=seeds.hexdigest(seed, name, short),
        image_id=seeds.hexdigest(1, image),
        size_bytes=18 * MIB + seeds.number(1, image, "size") % (420 * MIB),
        state="exited" if stopped else "running",
    )
