"""The commands of one look, for any Linux and for rpm-ostree hosts. None needs root, a terminal or a locale."""

from nodes.hosts.machine_id import ZINCATI_APP_ID
from nodes.hosts.probe import Section, detect_sections

ZINCATI_CONFIG_DIRS = ("/usr/lib/zincati/config.d", "/etc/zincati/config.d", "/run/zincati/config.d")
# An argument of Zincati's systemctl call, shared with the reader of its answer.
UNIT_PROPERTIES = "--property=Id,LoadState,ActiveState,SubState,UnitFileState,Result,StatusText,Description"

#: With which version of a config the machine was born: written by what we render.
MARKER_PATH = "/etc/fleetui/ignition.json"

KIB = 1024

_NIC_DRIVERS = (
    'for nic in /sys/class/net/*; do link=$(readlink "$nic/device/driver") && echo "${nic##*/} ${link##*/}"; done; :'
)
# A gate that ends with 127 says "not on this host" without waking a daemon or writing a sudo log line.
_ROOT_PODMAN = "command -v podman >/dev/null && test -d /var/lib/containers/storage || exit 127; exec sudo -n podman "
_USER_PODMAN = (
    'command -v podman >/dev/null && test -d "$HOME/.local/share/containers/storage" || exit 127; exec podman '
)
# Of units that call podman only what is needed leaves the host: their commands may hold secrets. Lines that go on are
# joined; of each command the name of the container and the words that look like an image are printed.
IMAGE_WORD = "^[a-z0-9.-]+(:[0-9]+)?([/][a-z0-9._-]+)+(:[A-Za-z0-9._-]+)?(@sha256:[0-9a-f]+)?$"
_READ_UNITS = (
    r'FNR == 1 { rest = "" }'
    r' { line = rest $0; if (line ~ /\\$/) { rest = substr(line, 1, length(line) - 1); next } rest = "" }'
    r' line ~ /^SourcePath=/ { print FILENAME "\t" line }'
    r" line ~ /^ExecStart=.*podman / && line !~ /podman (pod|kube|image|network|volume|build) / {"
    r' count = split(line, word, /[ \t]+/); said = ""; verb = "";'
    r' for (i = 1; i <= count; i++) { if (verb == "start" && word[i] !~ /^-/) { said = said "\tname=" word[i]; verb = "started" }'
    r' else if (verb == "" && (word[i] == "run" || word[i] == "start")) verb = word[i];'
    r' else if (word[i] == "--name" && i < count) said = said "\tname=" word[i + 1];'
    r' else if (word[i] ~ /^--name=/) said = said "\tname=" substr(word[i], 8);'
    rf' else if (word[i] ~ "{IMAGE_WORD}") said = said "\timage=" word[i] }}'
    r' if (verb != "") print FILENAME "\tExecStart" said }'
)
_PODMAN_UNITS = (
    "command -v podman >/dev/null || exit 127;"
    # Quadlet looks into folders below as well, apart from `users`, which are not units of root.
    " find -L /etc/containers/systemd -path /etc/containers/systemd/users -prune"
    r""" -o -type f -path '*.container.d/*.conf' -printf '%p\tdropin\n' 2>/dev/null;"""
    " for file in /run/systemd/generator/*.service /usr/local/lib/systemd/system/*.service /etc/systemd/system/*.service"
    ' /etc/systemd/system/*.service.d/*.conf; do [ -f "$file" ] && [ ! -L "$file" ] && set -- "$@" "$file"; done;'
    ' [ $# -gt 0 ] || exit 0; grep -slZ -e podman -- "$@" | xargs -0 -r awk \'' + _READ_UNITS + "'"
)
_DOCKER = (
    "command -v docker >/dev/null && systemctl is-active -q docker.service || exit 127;"
    " if test -w /run/docker.sock; then exec docker {0}; else exec sudo -n docker {0}; fi"
)
_CRICTL = "command -v crictl >/dev/null || exit 127; exec sudo -n crictl "
_BOOTC = (
    "command -v bootc >/dev/null || exit 127; bootc status --json && exit 0;"
    " command -v rpm-ostree >/dev/null && exit 1; exec sudo -n bootc status --json"
)


def _shell(script: str) -> tuple[str, ...]:
    return ("sh", "-c", script)


def linux_sections() -> tuple[Section, ...]:
    """What any Linux host with systemd can say."""
    return (*detect_sections(), *_boot(), *_health(), *_hardware(), *_network(), *_containers())


def _boot() -> tuple[Section, ...]:
    return (
        Section("boot_id", ("cat", "/proc/sys/kernel/random/boot_id"), 5, 4 * KIB),
        Section("btime", ("grep", "-m1", "^btime", "/proc/stat"), 5, 4 * KIB),
        Section("cmdline", ("cat", "/proc/cmdline"), 5, 64 * KIB),
        Section("boots", ("journalctl", "--list-boots", "-q", "--no-pager"), 3, 64 * KIB),
        Section("machine_id", ("cat", "/etc/machine-id"), 5, 4 * KIB),
        Section("hostname", ("cat", "/proc/sys/kernel/hostname"), 5, 4 * KIB),
    )


def _health() -> tuple[Section, ...]:
    shown = "--property=Id,Description,LoadState,ActiveState,SubState,Result"
    return (
        Section("system_state", ("systemctl", "is-system-running"), 5, 4 * KIB),
        Section(
            "failed_units",
            ("systemctl", "list-units", "--failed", "--all", "--plain", "--no-legend", "--no-pager", "--full"),
            5,
            96 * KIB,
        ),
        Section("failed_details", ("systemctl", "show", "--state=failed", shown, "*"), 5, 96 * KIB),
        Section("loadavg", ("cat", "/proc/loadavg"), 5, 4 * KIB),
        Section("meminfo", ("cat", "/proc/meminfo"), 5, 64 * KIB),
        Section("time", ("timedatectl", "show"), 5, 16 * KIB),
        Section("sessions", ("loginctl", "list-sessions", "--no-pager"), 5, 64 * KIB),
        Section("who", ("who",), 5, 64 * KIB),
    )


def _hardware() -> tuple[Section, ...]:
    dmi = tuple(f"/sys/class/dmi/id/{name}" for name in ("sys_vendor", "product_name", "product_version", "board_name"))
    return (
        Section("cpu", ("lscpu",), 5, 64 * KIB),
        Section("cpuinfo", ("grep", "-E", "^(processor|model name|Hardware|Model)", "/proc/cpuinfo"), 5, 96 * KIB),
        # The note rides along: one file more for a command that runs anyway costs a poll nothing.
        Section("dmi", ("grep", "-sH", "", *dmi, "/proc/device-tree/model", MARKER_PATH), 5, 16 * KIB),
        Section("virtualization", ("systemd-detect-virt",), 5, 4 * KIB),
        Section("selinux", ("getenforce",), 5, 4 * KIB),
        Section("df", ("df", "-P", "-T", "-B1", "/", "/boot", "/var", "/sysroot"), 5, 64 * KIB),
        Section("df_inodes", ("df", "-P", "-i", "/", "/boot", "/var", "/sysroot"), 5, 64 * KIB),
        Section("disks", ("lsblk", "-J", "-b", "-d", "-o", "NAME,TYPE,SIZE,MODEL,ROTA"), 5, 96 * KIB),
    )


def _network() -> tuple[Section, ...]:
    return (
        Section("ip_addr", ("ip", "-j", "addr"), 5, 192 * KIB),
        Section("ip_route", ("ip", "-j", "route"), 5, 96 * KIB),
        Section("nic_drivers", _shell(_NIC_DRIVERS), 5, 32 * KIB),
    )


def _containers() -> tuple[Section, ...]:
    listing, images = "ps -a --format json", "images --format json"
    lines = "--no-trunc --format '{{json .}}'"
    return (
        # Before what takes long: whether it is a control plane decides how it may be replaced.
        Section("kubernetes_paths", ("ls", "-d", *KUBERNETES_PATHS), 5, 8 * KIB),
        Section("podman_version", ("podman", "--version"), 5, 4 * KIB),
        Section("podman_root_ps", _shell(_ROOT_PODMAN + listing), 10, 192 * KIB),
        Section("podman_root_images", _shell(_ROOT_PODMAN + images), 10, 96 * KIB),
        Section("podman_user_ps", _shell(_USER_PODMAN + listing), 10, 96 * KIB),
        Section("podman_user_images", _shell(_USER_PODMAN + images), 10, 64 * KIB),
        Section("podman_units", _shell(_PODMAN_UNITS), 5, 64 * KIB),
        Section("docker_version", ("docker", "--version"), 5, 4 * KIB),
        Section("docker_ps", _shell(_DOCKER.format(f"ps -a {lines}")), 10, 192 * KIB),
        Section("docker_images", _shell(_DOCKER.format(f"images --digests {lines}")), 10, 96 * KIB),
        Section("crictl_version", ("crictl", "--version"), 5, 4 * KIB),
        Section("crictl_ps", _shell(_CRICTL + "ps -a -o json"), 10, 192 * KIB),
        Section("crictl_images", _shell(_CRICTL + "images -o json"), 10, 96 * KIB),
        Section("kubelet_version", ("kubelet", "--version"), 5, 4 * KIB),
    )


KUBERNETES_PATHS = (
    "/etc/kubernetes/manifests/kube-apiserver.yaml",
    "/etc/kubernetes/kubelet.conf",
    "/etc/kubernetes/kubelet-conf.d",
    "/var/lib/kubelet/config.yaml",
    "/etc/rancher/k3s",
    "/etc/rancher/rke2",
    "/var/lib/rancher/k3s/server",
    "/var/lib/rancher/k3s/agent",
    "/var/lib/rancher/rke2/server",
    "/etc/systemd/system/kubelet.service",
    "/usr/lib/systemd/system/kubelet.service",
)


def rpm_ostree_sections() -> tuple[Section, ...]:
    """What an rpm-ostree or bootc host says on top of any Linux host."""
    finalize = ("ostree-finalize-staged.service", "ostree-boot-complete.service")
    journal = ("journalctl", "-b", "-1", "-u", finalize[0], "-o", "cat", "-q", "--no-pager", "-n", "20")
    return (
        Section("rpm_ostree_status", ("rpm-ostree", "status", "--json"), 15, 1024 * KIB),
        Section("bootc_status", _shell(_BOOTC), 10, 96 * KIB),
        Section("run_ostree", ("ls", "-1", "/run/ostree"), 5, 8 * KIB),
        # OSTree swaps this link whenever it writes another boot order.
        Section("boot_order", ("stat", "-c", "%Y", "/boot/loader"), 5, 4 * KIB),
        Section("ostree_units", ("systemctl", "show", *finalize, UNIT_PROPERTIES), 5, 16 * KIB),
        Section("finalize_journal", journal, 5, 16 * KIB),
        Section("zincati", ("systemctl", "show", "zincati.service", UNIT_PROPERTIES), 5, 16 * KIB),
        Section(
            "zincati_files",
            ("find", "-L", *ZINCATI_CONFIG_DIRS, "-mindepth", "1", "-maxdepth", "1", "-printf", "%y %s %p\\n"),
            5,
            64 * KIB,
        ),
        # -Z ends each path with a NUL, so that no path can be mistaken for content.
        Section("zincati_config", ("grep", "-RaHZ", "", *ZINCATI_CONFIG_DIRS), 5, 96 * KIB),
        Section("zincati_id", ("systemd-id128", "machine-id", "-a", ZINCATI_APP_ID), 5, 4 * KIB),
    )


UPDATE_CONF_FILES = ("/usr/share/flatcar/update.conf", "/etc/flatcar/update.conf")
_CGPT = (
    "command -v rootdev >/dev/null && command -v cgpt >/dev/null || exit 127;"
    ' disk=$(rootdev -d -s /usr) || exit 1; exec sudo -n cgpt show "$disk"'
)
# The lock lies in etcd, so it is asked for only where it is used.
_LOCKSMITH = (
    "command -v locksmithctl >/dev/null && grep -qsE '^REBOOT_STRATEGY=.?etcd-lock' /etc/flatcar/update.conf || exit 127;"
    " exec locksmithctl status"
)


def flatcar_sections() -> tuple[Section, ...]:
    """What Flatcar says on top of any Linux host."""
    units = ("update-engine.service", "locksmithd.service")
    return (
        Section("update_engine", ("update_engine_client", "-status"), 10, 16 * KIB),
        Section("update_conf", ("grep", "-sH", "", *UPDATE_CONF_FILES), 5, 32 * KIB),
        Section("usr_device", ("rootdev", "-s", "/usr"), 5, 4 * KIB),
        Section("usr_partitions", _shell(_CGPT), 5, 64 * KIB),
        Section("flatcar_units", ("systemctl", "show", *units, UNIT_PROPERTIES), 5, 16 * KIB),
        Section("locksmith", _shell(_LOCKSMITH), 3, 16 * KIB),
    )
