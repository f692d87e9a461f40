"""What a machine born with another config has and does otherwise."""

from django.utils.translation import gettext_lazy as _

from nodes.wording.sentences import Forms

WEIGHTS = {"disruptive": _("Disruptive"), "notable": _("Notable"), "plain": _("Small")}
WEIGHT_SENTENCES = {
    "disruptive": _("Data is lost or people are locked out."),
    "notable": _("The machine behaves differently."),
    "plain": _("Something lies on the disk otherwise."),
}

_PEOPLE: dict[str, Forms] = {
    "nobody_signs_in": (_("Nobody can sign in any more."),),
    "user_added": (_("Adds user %(user)s."),),
    "user_added_admin": (_("Adds user %(user)s, who may become root."),),
    "user_removed": (_("Removes user %(user)s."),),
    "user_left_out": (_("No longer makes user %(user)s."),),
    "user_changed": (_("Changes number, home or shell of user %(user)s."),),
    "user_joins": (_("Puts user %(user)s into group %(group)s."),),
    "user_leaves": (_("No longer puts user %(user)s into group %(group)s."),),
    "key_added": (_("Lets the key %(key)s sign in as %(user)s."),),
    "key_left_out": (_("No longer lets the key %(key)s sign in as %(user)s."),),
    "password_set": (_("Gives user %(user)s a password."),),
    "password_left_out": (_("No longer gives user %(user)s a password."),),
    "group_added": (_("Adds group %(group)s."),),
    "group_removed": (_("Removes group %(group)s."),),
    "group_left_out": (_("No longer makes group %(group)s."),),
    "group_changed": (_("Changes group %(group)s."),),
}

_DISKS: dict[str, Forms] = {
    "disk_wiped": (_("Erases all of %(device)s."),),
    "disk_not_wiped": (_("No longer erases %(device)s."),),
    "disk_left_out": (_("No longer partitions %(device)s."),),
    "partition_added": (_("Makes partition %(partition)s on %(device)s."),),
    "partition_deleted": (_("Deletes partition %(partition)s of %(device)s."),),
    "partition_wiped": (_("Replaces partition %(partition)s of %(device)s."),),
    "partition_changed": (_("Changes the layout of partition %(partition)s of %(device)s."),),
    "partition_left_out": (_("No longer makes partition %(partition)s on %(device)s."),),
    "filesystem_erased": (_("Erases the file system on %(device)s."),),
    "filesystem_reformatted": (
        _("Reformats %(device)s as %(format)s for %(path)s."),
        _("Reformats %(device)s as %(format)s."),
        _("Reformats %(device)s."),
    ),
    "filesystem_format": (
        _("Wants %(format)s on %(device)s where %(old)s was."),
        _("Wants another file system on %(device)s."),
    ),
    "filesystem_added": (
        _("Puts %(path)s on %(device)s (%(format)s)."),
        _("Makes a file system on %(device)s (%(format)s)."),
        _("Uses the file system on %(device)s."),
    ),
    "filesystem_changed": (_("Changes options of the file system on %(device)s."),),
    "filesystem_not_wiped": (_("Keeps what is on %(device)s if the file system is the same."),),
    "filesystem_moved": (_("Moves %(device)s from %(old)s to %(path)s."),),
    "filesystem_left_out": (
        _("No longer puts %(path)s on %(device)s."),
        _("No longer makes a file system on %(device)s."),
    ),
    "raid_added": (_("Makes the RAID %(raid)s of %(devices)s."), _("Makes the RAID %(raid)s.")),
    "raid_changed": (_("Makes the RAID %(raid)s anew of %(devices)s."), _("Makes the RAID %(raid)s anew.")),
    "raid_left_out": (_("No longer makes the RAID %(raid)s."),),
    "luks_added": (_("Encrypts %(device)s as %(volume)s."),),
    "luks_wiped": (_("Encrypts %(device)s anew as %(volume)s."),),
    "luks_moved": (_("Encrypts another device, %(device)s, as %(volume)s."),),
    "luks_opened_otherwise": (_("Opens %(volume)s by other means (%(ways)s)."), _("Opens %(volume)s by other means.")),
    "luks_left_out": (_("No longer encrypts %(volume)s."),),
}

_FILES: dict[str, Forms] = {
    "file_added": (_("Adds file %(path)s."),),
    "file_changed": (_("Changes the content of %(path)s."),),
    "file_left_out": (_("No longer writes %(path)s."),),
    "directory_added": (_("Adds directory %(path)s."),),
    "directory_left_out": (_("No longer makes directory %(path)s."),),
    "link_added": (_("Adds link %(path)s."),),
    "link_changed": (_("Lets %(path)s lead to %(new)s."), _("Changes link %(path)s.")),
    "link_left_out": (_("No longer makes link %(path)s."),),
    "node_kind": (_("Makes %(path)s a %(new)s, it was a %(old)s."),),
    "mode_changed": (_("Changes the mode of %(path)s from %(old)s to %(new)s."),),
    "owner_changed": (_("Changes the owner of %(path)s from %(old)s to %(new)s."),),
    "overwrites": (_("Overwrites what is at %(path)s."),),
    "overwrites_not": (_("No longer overwrites what is at %(path)s."),),
}

_UNITS: dict[str, Forms] = {
    "unit_added": (_("Adds unit %(unit)s."),),
    "unit_extended": (_("Extends unit %(unit)s."),),
    "unit_enabled": (_("Enables unit %(unit)s."),),
    "unit_disabled": (_("Disables unit %(unit)s."),),
    "unit_masked": (_("Masks unit %(unit)s."),),
    "unit_changed": (_("Changes unit %(unit)s."),),
    "unit_now_enabled": (_("Enables unit %(unit)s."),),
    "unit_now_disabled": (_("Disables unit %(unit)s."),),
    "unit_now_masked": (_("Masks unit %(unit)s."),),
    "unit_now_unset": (_("Leaves it to the system whether unit %(unit)s starts."),),
    "unit_left_out": (_("No longer touches unit %(unit)s."),),
    "dropin_added": (_("Adds drop-in %(dropin)s to unit %(unit)s."),),
    "dropin_changed": (_("Changes drop-in %(dropin)s of unit %(unit)s."),),
    "dropin_left_out": (_("No longer adds drop-in %(dropin)s to unit %(unit)s."),),
}

_REST: dict[str, Forms] = {
    "interface_added": (
        _("Configures interface %(interface)s with %(addresses)s."),
        _("Configures interface %(interface)s."),
    ),
    "interface_changed": (_("Changes how interface %(interface)s is set up."),),
    "interface_left_out": (_("No longer configures interface %(interface)s."),),
    "address_added": (_("Gives interface %(interface)s the address %(address)s."),),
    "address_left_out": (_("Takes the address %(address)s from interface %(interface)s."),),
    "argument_added": (_("Adds %(argument)s to the kernel's command line."),),
    "argument_removed": (_("Removes %(argument)s from the kernel's command line."),),
    "argument_left_out": (_("No longer adds %(argument)s to the kernel's command line."),),
    "argument_kept": (_("No longer removes %(argument)s from the kernel's command line."),),
    "merge_added": (_("Merges the config at %(url)s."), _("Merges another config.")),
    "merge_left_out": (_("No longer merges the config at %(url)s."), _("No longer merges another config.")),
    "replace_added": (_("The config at %(url)s takes the place of all of this."),),
    "replace_left_out": (_("The config at %(url)s no longer takes the place of all of this."),),
    "authority_added": (_("Trusts another certificate authority while it fetches."),),
    "authority_left_out": (_("Trusts a certificate authority no longer while it fetches."),),
    "fetching_changed": (_("Changes proxies or timeouts of the first boot."),),
    "version_changed": (_("Is written for Ignition %(new)s instead of %(old)s."),),
}

EFFECTS: dict[str, Forms] = {**_PEOPLE, **_DISKS, **_FILES, **_UNITS, **_REST}
