"""Butane to Ignition, validation of both, and what a config will do. Pure, no Django, no network, no clock.

- `butane.convert(source)`: Ignition, findings with lines, and where each part came from
- `ignition.validate_document(document)`: findings in an Ignition document
- `sections.sections(document)`: users, files, disks, units, network ... each with what it does
- `effect.effect(before, after)`: what a machine born with the second config has and does otherwise
- `variables.substitute(source, declarations, values)`: declared, typed values for `${fleetui:name}`

What is said to people are codes with parameters (`said.Said`), worded by whoever shows them.
"""
