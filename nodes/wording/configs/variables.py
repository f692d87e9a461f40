"""What is wrong with variables of a config, and what to do. No sentence holds a value."""

from django.utils.translation import gettext_lazy as _

from nodes.wording.sentences import Forms

TYPES = {
    "string": _("Text"),
    "hostname": _("Host name"),
    "address": _("Address with prefix"),
    "integer": _("Whole number"),
    "boolean": _("Yes or no"),
    "ssh_key": _("SSH key"),
    "secret": _("Secret"),
}

REASONS: dict[str, Forms] = {
    "too_long": (_("It is too long."),),
    "control_characters": (_("It has control characters or line ends; write it on one line."),),
    "length": (_("A host name has 1 to 253 characters."),),
    "labels": (_("Use letters, digits and hyphens, up to 63 between dots, with no hyphen at either end."),),
    "no_prefix": (_("Write the prefix too, as in 192.0.2.10/24."),),
    "no_address": (_("Write an address with prefix, as in 192.0.2.10/24 or 2001:db8::10/64."),),
    "no_integer": (_("Write a whole number in decimal digits, without leading zeros."),),
    "no_boolean": (_("Write true or false."),),
    "no_key": (_("Write one public key as it stands in a .pub file."),),
    "empty": (_("A secret cannot be empty."),),
}

PROBLEMS: dict[str, Forms] = {
    "declaration_malformed": (_("Write a declaration as: # fleetui:variable NAME TYPE = DEFAULT -- DESCRIPTION"),),
    "declaration_type": (_("%(variable)s has the type %(type)s, which is none. Use one of %(types)s."),),
    "declarations_too_many": (_("More than %(limit)s variables are declared. Split the config."),),
    "declaration_name": (
        _("“%(variable)s” is no name for a variable. Use small letters, digits and underscores, a letter first."),
    ),
    "declaration_twice": (_("The variable %(variable)s is declared twice. Delete one of the two."),),
    "declaration_default": (
        _("The secret %(variable)s has a default, which everybody would see. Give it a value instead."),
    ),
    "default_invalid": (_("The default of %(variable)s does not fit its type. %(why)s"),),
    "value_missing": (_("The variable %(variable)s has no value. Give it one, or a default."),),
    "value_unknown": (_("There is a value for %(variable)s, which is not declared. Declare it, or delete the value."),),
    "value_invalid": (_("The value of %(variable)s does not fit its type. %(why)s"),),
    "value_needs_block": (
        _("The value of %(variable)s has several lines. Put its reference into a block that begins with “|”."),
    ),
    "value_does_not_fit": (
        _("The value of %(variable)s would change the file around it. Put its reference into double quotes."),
    ),
    "reference_malformed": (_("“%(reference)s” is no reference. Write ${fleetui:name} with a declared name."),),
    "reference_undeclared": (_("The variable %(variable)s is not declared. Declare it, or mend its name."),),
    "reference_outside_value": (
        _("The variable %(variable)s stands where no value stands. Use it in a value, on one line."),
    ),
    "source_unreadable": (_("The config cannot be read, so its variables cannot be found: %(why)s"),),
}
