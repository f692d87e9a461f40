"""What the checks of pools ask for, and what is wrong with one."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from nodes.wording.sentences import Forms

KINDS: dict[str, Promise] = {
    "unit": _("Unit"),
    "tcp": _("TCP port"),
    "http": _("Web address"),
    "command": _("Command"),
}
ASKS: dict[str, Forms] = {
    "unit": (_("%(unit)s is active."),),
    "tcp": (_("TCP port %(port)s of %(host)s answers."),),
    "http": (_("%(url)s answers with %(status)s."),),
    "command": (_("A command ends with status 0."),),
}
PROBLEMS: dict[str, tuple[Promise, Promise]] = {
    "check_unit": (_("%(value)s is not the name of a unit."), _("Give it as systemctl shows it: nginx.service.")),
    "check_host": (_("%(value)s is not an address."), _("Give an address or a host name, without a port.")),
    "check_port": (_("%(value)s is not a port."), _("Give a number from 1 to 65535.")),
    "check_url": (
        _("%(value)s is not a web address that can be checked."),
        _("Give http:// or https://, without a user name, in plain characters and with at most 500 of them."),
    ),
    "check_status": (_("%(value)s is not an HTTP status."), _("Give a number from 100 to 599.")),
    "check_argv": (_("A command is a list of 1 to 32 words."), _("Give the program, then its arguments.")),
    "check_argument": (
        _("%(value)s cannot be a word of a command."),
        _("Use plain characters, at most 1,000 of them; the first word is a program."),
    ),
    "not_a_flag": (_("%(value)s is neither true nor false."), _("Give true or false.")),
    "check_param_unknown": (_("This kind of check takes no parameter %(field)s."), _("Leave it out.")),
}
