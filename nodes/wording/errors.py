"""The sentences and mends of failed contacts, by the kind of the host error."""

from django.utils.translation import gettext_lazy as _

from nodes.wording.sentences import Forms

ERRORS: dict[str, Forms] = {
    "host_error": (_("The contact failed: %(message)s"), _("The contact failed.")),
    "name_not_resolved": (_("The name %(address)s could not be resolved."), _("The name could not be resolved.")),
    "refused": (
        _("%(address)s refused the connection on port %(port)s."),
        _("The host refused the connection."),
    ),
    "no_route": (
        _("No network route leads to %(address)s port %(port)s."),
        _("No network route leads to the host."),
    ),
    "timed_out": (_("%(address)s did not answer in time."), _("The host did not answer in time.")),
    "key_mismatch": (
        _("%(address)s shows another host key than the trusted one: expected %(expected)s, seen %(seen)s."),
        _("The host shows another key than the trusted one."),
    ),
    "key_unknown": (
        _("No host key is trusted yet for %(address)s; it shows %(seen)s."),
        _("No host key is trusted yet for %(address)s."),
        _("No host key is trusted yet for the host."),
    ),
    "authentication": (
        _("%(address)s did not accept the login of %(username)s (%(reason)s)."),
        _("%(address)s did not accept the login of %(username)s."),
        _("The host did not accept the login."),
    ),
    "no_common_algorithm": (
        _("%(address)s and FleetUI share no SSH algorithm (%(reason)s)."),
        _("%(address)s and FleetUI share no SSH algorithm."),
        _("The host and FleetUI share no SSH algorithm."),
    ),
    "channel_refused": (
        _("%(address)s accepted the login but refused to run the command (%(reason)s)."),
        _("%(address)s accepted the login but refused to run the command."),
        _("The host accepted the login but refused to run the command."),
    ),
    "forwarding_refused": (
        _("%(address)s accepted the login but refused to open a connection to %(target)s."),
        _("It accepted the login but refused to open a connection."),
    ),
    "command_failed": (
        _("The command %(command)s ended with status %(exit_status)s: %(stderr)s"),
        _("The command %(command)s ended with status %(exit_status)s."),
        _("A command on the host failed."),
    ),
    "output_too_large": (
        _("The command %(command)s printed more than %(limit_bytes)s bytes."),
        _("A command on the host printed more than the limit."),
    ),
    "connection_lost": (
        _("The connection to %(address)s was lost (%(reason)s)."),
        _("The connection to %(address)s was lost."),
        _("The connection to the host was lost."),
    ),
    "bad_host_certificate": (
        _("The certificate of the host %(address)s may not be trusted."),
        _("The certificate of the host may not be trusted."),
    ),
    "jump_failed": (_("The jump host %(hop)s failed: %(inner)s"), _("A jump host on the way failed.")),
    "bad_identity": (
        _("The private key or its certificate cannot be used: %(reason)s"),
        _("The private key or its certificate cannot be used."),
    ),
}

MENDS: dict[str, Forms] = {
    "host_error": (_("Read the journal of FleetUI's worker, then poll the node again."),),
    "name_not_resolved": (
        _("Check the spelling of the address and the DNS server of this machine, or use an IP address."),
    ),
    "refused": (_("Check that the SSH service runs on the host and that the port is right."),),
    "no_route": (_("Check that the host is on, and the network, firewall and VPN between this machine and the host."),),
    "timed_out": (_("Check that the host is on and not overloaded, and that no firewall drops the connection."),),
    "key_mismatch": (
        _(
            "If the host was reinstalled, compare the key with its console and trust the new one; "
            "if not, someone may be between you and the host."
        ),
    ),
    "key_unknown": (_("Compare the fingerprint with the console of the host, then trust it."),),
    "authentication": (
        _(
            "Check that the host trusts the authority of the certificate %(certificate)s (TrustedUserCAKeys), "
            "that the certificate names %(username)s, and that it is valid by the clock of the host."
        ),
        _("Check that the public key is in the authorized keys of %(username)s on the host."),
        _("Check the user name, and that the public key is in the authorized keys of this user on the host."),
    ),
    "no_common_algorithm": (
        _("Update the SSH server of the host, or allow it a current algorithm such as curve25519 and AES-GCM."),
    ),
    "channel_refused": (
        _("Check that the user has a shell and that the SSH server allows sessions (ForceCommand, MaxSessions)."),
    ),
    "forwarding_refused": (
        _("Check that the SSH server of the jump host allows forwarding (AllowTcpForwarding, PermitOpen)."),
    ),
    "command_failed": (_("Read the error output of the command, and the journal of the host."),),
    "output_too_large": (_("Run the command on the host to see why it prints that much."),),
    "connection_lost": (_("Check whether the host restarted; the next contact shows it."),),
    "bad_host_certificate": (_("Have the certificate authority sign the key of the host again."),),
    "jump_failed": (_("Check the jump host: its address, its login and its host key."),),
    "bad_identity": (_("Check the key and its passphrase, and upload or generate the credential again."),),
}

#: Of connections that were lost before the host had said who it is.
LOST: dict[str, Forms] = {
    "not_ssh": (_("Check that the port belongs to an SSH server."),),
    "turned_away": (
        _("Check that the port is right, and the load, MaxStartups and the journal of the SSH server there."),
    ),
}

PHASES: dict[str, tuple[Forms, Forms]] = {
    "connect": (
        (_("%(address)s did not answer the connection in time."), _("The host did not answer the connection in time.")),
        (_("Check that the host is on and that no firewall drops the connection."),),
    ),
    "banner": (
        (
            _("%(address)s accepted the connection but did not identify itself as an SSH server in time."),
            _("The host accepted the connection but did not identify itself as an SSH server in time."),
        ),
        (_("Check that the port belongs to an SSH service and that the host is not overloaded."),),
    ),
    "key_exchange": (
        (
            _("%(address)s did not finish the SSH key exchange in time."),
            _("The host did not finish the SSH key exchange in time."),
        ),
        (_("Check the load of the host, and for a network path that drops large packets (MTU)."),),
    ),
    "auth": (
        (_("%(address)s did not answer the login in time."), _("The host did not answer the login in time.")),
        (_("Check the load of the host and its login services (PAM, directory, DNS)."),),
    ),
    "channel": (
        (_("%(address)s did not open a session in time."), _("The host did not open a session in time.")),
        (_("Check the load of the host and the journal of its SSH service."),),
    ),
    "command": (
        (
            _("The command on %(address)s did not finish in time."),
            _("The command on the host did not finish in time."),
        ),
        (_("Check the load of the host, or allow the command more time."),),
    ),
    "jump": (
        (
            _("The jump host did not reach %(address)s in time."),
            _("The jump host did not reach the host in time."),
        ),
        (_("Check that the host is on and that the jump host can reach it."),),
    ),
}

#: Why a host certificate may not be trusted: the sentence and the mend, by reason.
CERTIFICATES: dict[str, tuple[Forms, Forms]] = {
    "unknown_ca": (
        (_("The host certificate is signed by %(ca)s, which is no certificate authority of the pool."),),
        (_("Add the public key of that authority to the pool if it is yours; if not, find out who answers."),),
    ),
    "bad_signature": (
        (_("The signature of the host certificate does not hold."),),
        (_("Have the certificate authority sign the key of the host again; if it did, find out who answers."),),
    ),
    "not_a_host_certificate": (
        (
            _("The host shows the certificate %(key_id)s, which is not for a host but for a user."),
            _("The host shows a certificate that is not for a host but for a user."),
        ),
        (_("Sign the key of the host with ssh-keygen -s CA -h."),),
    ),
    "critical_option": (
        (
            _("The host certificate %(key_id)s demands %(options)s, which is not known."),
            _("The host certificate demands something that is not known."),
        ),
        (_("Sign the key of the host again without critical options."),),
    ),
    "not_yet_valid": (
        (
            _("The host certificate %(key_id)s is valid only from %(moment)s on."),
            _("The host certificate is not valid yet."),
        ),
        (_("Check the clocks of the host, the authority and this machine."),),
    ),
    "expired": (
        (_("The host certificate %(key_id)s has expired on %(moment)s."), _("The host certificate has expired.")),
        (_("Have the certificate authority sign the key of the host again."),),
    ),
    "wrong_principal": (
        (
            _("The host certificate %(key_id)s is for %(principals)s, not for this host."),
            _("The host certificate is not for this host."),
        ),
        (_("Sign the key with the name or the address of the node: ssh-keygen -s CA -h -n NAME."),),
    ),
    "damaged": (
        (_("The host certificate cannot be read."),),
        (_("Have the certificate authority sign the key of the host again."),),
    ),
}
