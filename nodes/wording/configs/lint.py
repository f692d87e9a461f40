"""What each rule found, why it matters, and what to do."""

from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from nodes.wording.sentences import Forms


class RuleWords(NamedTuple):
    """`found` is the sentence of one finding, the others are the same for all."""

    found: Forms
    reason: Promise
    fix: Promise


SEVERITIES = {"error": _("Error"), "warning": _("Warning"), "advice": _("Advice")}
SEVERITY_SENTENCES = {
    "error": _("It will not work, or is not safe."),
    "warning": _("It will hurt in production."),
    "advice": _("There is a better way."),
}
GROUPS = {
    "users": _("Users"),
    "files": _("Files"),
    "disks": _("Disks"),
    "units": _("Units"),
    "containers": _("Containers"),
    "network": _("Network"),
    "zincati": _("Zincati"),
    "sources": _("Sources"),
    "size": _("Size"),
    "host": _("Host"),
    "silences": _("Silences"),
}

_PEOPLE: dict[str, RuleWords] = {
    "no-ssh-key": RuleWords(
        (_("No user has an SSH key."),),
        _("Nobody can sign in, and FleetUI cannot read or operate the host."),
        _("Add ssh_authorized_keys to a user."),
    ),
    "password-login": RuleWords(
        (_("%(user)s signs in with a password."),),
        _("Passwords are guessed and shared, and the hash can be read by all who can read the config."),
        _("Delete password_hash and give the user an SSH key."),
    ),
    "password-over-ssh": RuleWords(
        (_("%(path)s lets people sign in over SSH with a password (%(option)s)."),),
        _("A host that takes passwords over SSH is tried by everybody who can reach it."),
        _("Delete the line: without it only keys are taken."),
    ),
    "key-type": RuleWords(
        (_("%(user)s has a key of type %(type)s."),),
        _("OpenSSH no longer takes DSA keys."),
        _("Make a new key with ssh-keygen -t ed25519."),
    ),
    "key-short": RuleWords(
        (_("%(user)s has an RSA key of %(bits)s bits; %(wanted)s are wanted."),),
        _("Short RSA keys can be broken, and newer systems refuse them."),
        _("Make a new key with ssh-keygen -t ed25519."),
    ),
    "key-unreadable": RuleWords(
        (_("%(user)s has a line of authorized keys that is no key (%(type)s)."),),
        _("The SSH server passes over the line, so its owner cannot sign in."),
        _("Copy the whole line of the .pub file."),
    ),
    "key-duplicate": RuleWords(
        (_("The key %(key)s of %(user)s is there already, at %(other)s."),),
        _(
            "With one key in several places nobody can tell who signed in, and it is forgotten in one when it is withdrawn."
        ),
        _("Keep one, and give each user a key of their own."),
    ),
    "root-login": RuleWords(
        (_("root can sign in."),),
        _("What root did cannot be told from what anybody did."),
        _("Give the keys to a user who may use sudo, such as core."),
    ),
}

_FILES: dict[str, RuleWords] = {
    "secret-mode": RuleWords(
        (_("%(path)s seems to hold a secret, and its mode %(mode)s lets others read it."),),
        _("Every user and many containers of the host can read it."),
        _(
            "Set mode: 0600. What a unit needs, keep in such a file, and name it with LoadCredential= or EnvironmentFile=."
        ),
    ),
    "secret-in-plain-sight": RuleWords(
        (_("%(path)s holds a secret (%(kind)s)."),),
        _("A config is kept in Git, in user data and on the host, where more people read it than should."),
        _("Declare a variable of type secret, or let the host fetch it after boot."),
    ),
    "world-writable": RuleWords(
        (_("Everybody on the host may change %(path)s (mode %(mode)s)."),),
        _("What any user may change, root may run or believe."),
        _("Take the write permission of others away, as in mode: 0644."),
    ),
    "path-read-only": RuleWords(
        (_("%(path)s lies in a part of the system that is read-only."),),
        _("Ignition fails there, or the next update hides the file."),
        _("Use a path below /etc, /var or, on Fedora CoreOS, /usr/local."),
    ),
    "path-lost-at-boot": RuleWords(
        (_("%(path)s is in memory, and gone after the first boot."),),
        _("Ignition writes it once, and never again."),
        _("Write a file for systemd-tmpfiles to /etc/tmpfiles.d, or use a path below /etc or /var."),
    ),
    "program-not-executable": RuleWords(
        (_("%(path)s is a program, and its mode %(mode)s does not let it run."),),
        _("The unit that starts it fails with “Permission denied”."),
        _("Set mode: 0755."),
    ),
}

_DISKS: dict[str, RuleWords] = {
    "no-data-disk": RuleWords(
        (_("Containers (%(runtime)s) share the system's disk: %(path)s has no file system of its own."),),
        _("Images and logs of containers fill the disk, and then no update can be staged."),
        _("Add a file system with its path there, on a disk or partition of its own, with with_mount_unit: true."),
    ),
    "unstable-device": RuleWords(
        (_("%(device)s may be another disk at the next boot."),),
        _("The kernel names disks in the order in which they appear; the wrong one is then formatted."),
        _("Use a name below /dev/disk, as by-id or by-partlabel."),
    ),
    "filesystem-not-mounted": RuleWords(
        (_("Nothing mounts %(path)s: there is no %(unit)s."),),
        _("Ignition mounts a file system only for itself; after it the directory is empty."),
        _("Set with_mount_unit: true, or write the unit."),
    ),
    "disk-wiped-for-nothing": RuleWords(
        (_("%(device)s is erased, and nothing is put on it."),),
        _("All data on it is lost each time the machine is provisioned."),
        _("Delete wipe_table, or declare what goes onto the disk."),
    ),
}

_UNITS: dict[str, RuleWords] = {
    "unit-unknown": RuleWords(
        (
            _("%(starter)s starts %(unit)s, and neither this config nor the system is known to have it."),
            _("%(unit)s is enabled, but neither this config nor the system is known to have it."),
        ),
        _("systemd passes over it in silence, and what should run does not."),
        _("Mend the name, or allow it where a package or extension brings it."),
    ),
    "unit-never-started": RuleWords(
        (_("%(unit)s is written, and nothing starts it."),),
        _("On these systems a new unit is off until it is enabled."),
        _("Set enabled: true, or let another unit want it."),
    ),
    "unit-no-restart": RuleWords(
        (_("%(unit)s does not come back when it fails."),),
        _("One crash at night, and the service is down until somebody looks."),
        _("Add Restart=always or Restart=on-failure to [Service]."),
    ),
    "unit-no-network-online": RuleWords(
        (_("%(unit)s uses the network and does not wait for it (%(options)s)."),),
        _("At boot it starts before there are addresses, and fails now and then."),
        _("Add both Wants=network-online.target and After=network-online.target to [Unit]."),
    ),
}

_CONTAINERS: dict[str, RuleWords] = {
    "container-by-hand": RuleWords(
        (_("%(unit)s runs a container with %(runtime)s by hand."),),
        _("Such units forget to stop, to clean up and to tell systemd when the container is ready."),
        _("Write a Quadlet: a file NAME.container in /etc/containers/systemd."),
    ),
    "image-moving-tag": RuleWords(
        (_("The image %(image)s is whatever “%(tag)s” is on that day."),),
        _("Two hosts with one config run different programs, and going back is not possible."),
        _("Name the image by its digest, NAME@sha256:..."),
    ),
    "image-tag": RuleWords(
        (_("The image %(image)s is named by a tag, which may be moved."),),
        _("A registry can put another image behind the same tag."),
        _("Name the image by its digest, NAME@sha256:..., or let Podman follow the tag with AutoUpdate=registry."),
    ),
    "image-short-name": RuleWords(
        (_("The image %(image)s does not say from which registry it comes."),),
        _("The host asks one registry after the other, and takes the image of whoever answers."),
        _("Write the whole name, as in docker.io/library/nginx."),
    ),
    "quadlet-not-read": RuleWords(
        (_("Podman does not read %(path)s: its name ends otherwise than a Quadlet's."),),
        _("No unit is made of it, and nothing says so."),
        _("Let its name end in .container, .pod, .kube, .volume, .network, .image or .build."),
    ),
}

_NETWORK: dict[str, RuleWords] = {
    "network-address": RuleWords(
        (_("%(why)s"),),
        _("The interface comes up without it, or not at all, and the host cannot be reached."),
        _("Write addresses with their prefix, as in 192.0.2.10/24, and name servers without."),
    ),
    "network-gateway": RuleWords(
        (_("%(why)s"),),
        _("A gateway that no address of the interface can reach is not used."),
        _("Use a gateway within the network of one of the addresses, or mend the prefix."),
    ),
    "network-address-twice": RuleWords(
        (_("%(why)s"),),
        _("Answers go out by one interface only, and the other one seems dead."),
        _("Delete one of the two."),
    ),
    "network-layers": RuleWords(
        (_("%(why)s"),),
        _("The interface is not made, or never comes up."),
        _("Name the parent of a VLAN and its number, and let members of a bond name it as their controller."),
    ),
    "keyfile-mode": RuleWords(
        (_("%(why)s"),),
        _("NetworkManager passes over connections that others may read."),
        _("Set mode: 0600."),
    ),
    "network-file": RuleWords(
        (_("%(why)s"),),
        _("The file is passed over, and the interface keeps its defaults."),
        _("Mend the name, the owner or the sections of the file."),
    ),
    "network-setting": RuleWords(
        (_("%(why)s"),),
        _("The whole file is refused, or the setting passed over, and the interface is not what it should be."),
        _("Use a value that the setting takes, and give addresses to the bond or bridge instead of its members."),
    ),
    "network-dhcp": RuleWords(
        (_("%(interface)s takes its address from DHCP."), _("The host takes its addresses from DHCP.")),
        _("An address that changes breaks what knows the host by it: FleetUI, firewalls, clusters."),
        _("Give it a static address, or allow this where DHCP hands out fixed ones."),
    ),
    "network-other-system": RuleWords(
        (_("Nothing reads %(path)s: this system's network is set up by %(reader)s."),),
        _("Fedora CoreOS reads keyfiles of NetworkManager, Flatcar the files of systemd-networkd."),
        _("Write the file for the other one."),
    ),
}

_ZINCATI: dict[str, RuleWords] = {
    "zincati-no-strategy": RuleWords(
        (_("Nothing tells Zincati when it may reboot, so it reboots as soon as an update is there."),),
        _("All hosts may go down in the middle of a working day."),
        _("Choose the strategy periodic or fleet_lock in /etc/zincati/config.d/55-updates-strategy.toml."),
    ),
    "zincati-immediate": RuleWords(
        (_("%(path)s lets the host reboot at any time."),),
        _("All hosts may go down in the middle of a working day."),
        _("Choose the strategy periodic or fleet_lock."),
    ),
    "zincati-updates-off": RuleWords(
        (_("%(path)s switches updates off."),),
        _("The host gets no security fixes unless somebody or something else updates it."),
        _("Choose a strategy instead, or allow this where FleetUI does the updates."),
    ),
    "zincati-not-read": RuleWords(
        (_("Zincati does not read %(path)s: it reads only files in that folder whose names end in .toml."),),
        _("The host goes on with its defaults, and nothing says so."),
        _("Rename it."),
    ),
    "zincati-invalid": RuleWords(
        (_("%(path)s: %(why)s"),),
        _("Zincati does not start, or never finds a time to update."),
        _("Compare with the example."),
    ),
    "zincati-both-strategies": RuleWords(
        (_("%(path)s sets up both windows and a lock server; only the strategy %(strategy)s counts."),),
        _("Whoever reads it believes in windows that are not kept, or in a lock that is not taken."),
        _("Delete the part of the strategy that is not used."),
    ),
    "zincati-lock-url": RuleWords(
        (_("%(path)s: %(why)s"),),
        _("Without a lock from there the host never reboots into its updates."),
        _("Set base_url to the whole address, with a slash at its end."),
    ),
    "zincati-working-hours": RuleWords(
        (_("The window %(window)s (%(minutes)s minutes, %(time_zone)s) is in working hours."),),
        _("The host reboots while people use it."),
        _("Move it to the night or the weekend, or set time_zone if it is meant in another zone."),
    ),
    "zincati-window-skipped": RuleWords(
        (
            _(
                "%(lost)s of %(minutes)s minutes of the window %(window)s are skipped when the clocks of %(time_zone)s go forward."
            ),
        ),
        _("In that week there is no time left to update."),
        _("Move the window by an hour or two, or make it longer."),
    ),
    "zincati-window-short": RuleWords(
        (_("The window is %(minutes)s minutes long; %(wanted)s are wanted."),),
        _("Zincati looks for a window every few minutes, and writing an update takes its time."),
        _("Set length_minutes to 60 or more."),
    ),
    "zincati-time-zone": RuleWords(
        (_("There is no time zone %(time_zone)s."),),
        _("Zincati does not start."),
        _("Write the name as in Asia/Bangkok or Europe/Berlin."),
    ),
}

_REST: dict[str, RuleWords] = {
    "source-no-hash": RuleWords(
        (_("%(url)s is fetched, and whatever comes is taken."),),
        _("Who controls the server, or the way to it, controls the host."),
        _("Add verification: hash: with the SHA-512 of what is expected."),
    ),
    "source-http": RuleWords(
        (_("%(url)s is fetched by %(scheme)s, which everybody on the way can read and change."),),
        _("Even with a hash, everybody on the way sees what is fetched."),
        _("Use https."),
    ),
    "source-secret": RuleWords(
        (
            _("The secret of %(url)s stands in the config (%(header)s)."),
            _("The password of %(url)s stands in the config."),
        ),
        _("All who can read the config can use it."),
        _("Declare a variable of type secret, or an address that is valid for a short time only."),
    ),
    "user-data-size": RuleWords(
        (
            _("The config has %(size)s bytes; %(platforms)s takes %(limit)s."),
            _("The config has %(size)s bytes; there is less room at %(over)s."),
        ),
        _("The machine cannot be made, or boots with a config that was cut."),
        _("Keep the config on a server, and hand over a small one that points to it with a hash."),
    ),
    "hostname-missing": RuleWords(
        (_("The host has no name."),),
        _("It is called localhost, or whatever DHCP says, in logs, metrics and clusters."),
        _("Write /etc/hostname, with a variable if many nodes share the config."),
    ),
    "hostname-invalid": RuleWords(
        (_("“%(hostname)s” is no name for a host."),),
        _("systemd takes another one instead."),
        _("Use letters, digits and hyphens, up to 63 between dots and 64 in all, on one line."),
    ),
    "time-zone-unknown": RuleWords(
        (_("There is no time zone %(time_zone)s."), _("Nothing reads %(path)s.")),
        _("The host stays at UTC."),
        _("Link /etc/localtime to a zone, as ../usr/share/zoneinfo/Asia/Bangkok."),
    ),
    "time-zone-not-utc": RuleWords(
        (_("The clock of the host shows the time of %(time_zone)s."),),
        _("Logs of a fleet are compared in UTC, and local time has hours that happen twice."),
        _("Delete the link, and set time zones where people look."),
    ),
    "version-experimental": RuleWords(
        (_("%(version)s is experimental; %(newest)s is the newest stable version."),),
        _("An experimental version is taken away when it becomes stable."),
        _("Use the newest stable version."),
    ),
    "deprecated-key": RuleWords(
        (_("%(old)s has been given up; it is %(new)s now."),),
        _("It has no effect on newer systems, or will have none after an update."),
        _("Use the new name."),
    ),
    "silence-unknown-rule": RuleWords(
        (_("There is no rule “%(silenced)s”."),),
        _("The comment silences nothing, and its author believes that it does."),
        _("Mend the name of the rule."),
    ),
    "silence-unneeded": RuleWords(
        (_("Nothing is found here by the rule %(silenced)s."),),
        _("The comment would hide a finding that comes later."),
        _("Delete the comment."),
    ),
    "silence-without-reason": RuleWords(
        (_("The comment allows %(silenced)s and does not say why."),),
        _("Whoever reads it later cannot tell whether it still holds."),
        _("Write the reason behind the rule."),
    ),
}

RULES: dict[str, RuleWords] = {
    **_PEOPLE,
    **_FILES,
    **_DISKS,
    **_UNITS,
    **_CONTAINERS,
    **_NETWORK,
    **_ZINCATI,
    **_REST,
}

# What stands for `why` in findings of network and Zincati: by the problem that they name.
PROBLEMS: dict[str, Forms] = {
    "address_invalid": (_("%(address)s of %(interface)s is no address with prefix."),),
    "address_not_usable": (_("%(address)s of %(interface)s means the network itself, not a host."),),
    "static_without_address": (_("%(interface)s wants a static address (%(family)s) and has none."),),
    "name_server_invalid": (_("The name server %(name_server)s of %(interface)s is no address."),),
    "route_invalid": (_("The route %(route)s of %(interface)s is no network."),),
    "gateway_invalid": (_("The gateway %(gateway)s of %(interface)s is no address."),),
    "gateway_outside": (_("The gateway %(gateway)s of %(interface)s lies outside its networks."),),
    "route_gateway_outside": (
        _("The gateway %(gateway)s of the route %(route)s lies outside the networks of %(interface)s."),
    ),
    "address_twice": (_("%(address)s is given to %(interface)s and to %(other)s."),),
    "gateway_own": (_("The gateway %(gateway)s of %(interface)s is its own address."),),
    "method_unknown": (
        _("There is no method %(method)s (%(family)s of %(interface)s); for a fixed address it is manual."),
    ),
    "mtu_invalid": (_("The MTU %(mtu)s of %(interface)s is no number from 68 to 65536."),),
    "mtu_above_parent": (
        _("%(interface)s has the MTU %(mtu)s, and %(parent)s, on which it lies, only %(parent_mtu)s."),
    ),
    "bond_mode_unknown": (
        _("There is no bond mode %(mode)s (%(interface)s); use 802.3ad for LACP, or active-backup."),
    ),
    "name_too_long": (_("The name %(interface)s is too long for an interface: it may have %(limit)s bytes."),),
    "member_with_address": (_("%(interface)s belongs to %(controller)s, so its own addresses are not used."),),
    "network_shadowed": (
        _("%(other)s is for %(interface)s too and comes first, so nothing in %(path)s is used for it."),
    ),
    "networkd_name": (
        _("systemd-networkd does not read %(path)s: its name ends in none of .network, .netdev and .link."),
    ),
    "vlan_without_parent": (_("The VLAN %(interface)s has no parent."),),
    "vlan_without_id": (_("The VLAN %(interface)s has no number from 1 to 4094."),),
    "members_missing": (_("%(interface)s (%(kind)s) has no members."),),
    "controller_missing": (_("%(interface)s belongs to %(controller)s, which is not there."),),
    "keyfile_mode": (_("%(path)s has mode %(mode)s."),),
    "keyfile_name": (_("The name of %(path)s does not end in .nmconnection."),),
    "keyfile_owner": (_("%(path)s belongs to %(owner)s and not to root."),),
    "no_connection_section": (_("%(path)s has no section [connection]."),),
    "networkd_unreadable": (_("systemd-networkd may not read %(path)s (mode %(mode)s); it is not root."),),
    "netdev_incomplete": (_("%(path)s does not say Name and Kind in [NetDev]."),),
    "network_without_match": (_("%(path)s has no section [Match], so it is for every interface."),),
    "toml": (_("It is no TOML."),),
    "type": (_("%(value)s has a value of another type."), _("A value has another type.")),
    "strategy": (_("There is no strategy %(value)s; use immediate, periodic or fleet_lock."),),
    "no_window": (_("The strategy periodic has no window."),),
    "window_type": (_("The window is no table."),),
    "window_days": (_("The days of the window are no list of days as in “Sat”."),),
    "window_start_time": (_("The start of the window is no time as in “02:00”."),),
    "window_length_minutes": (_("The length of the window is no number of minutes."),),
    "missing": (_("The strategy fleet_lock has no base_url."),),
    "url": (_("base_url is no address of http or https."),),
    "slash": (_("base_url does not end in a slash, so its last part is lost."),),
}
