"""Kernel arguments, and everything else that a config says."""

from nodes.ignition.contents import Contents, shown_url
from nodes.ignition.paths import Path
from nodes.ignition.record import Record
from nodes.ignition.said import Said, said
from nodes.ignition.sections.model import Argument, Fetched, Kernel, Rest


def kernel(config: Record) -> Kernel:
    """The arguments that must be there, and must not."""
    record = config.record("kernelArguments")
    arguments = tuple(
        Argument(text, ("kernelArguments", key, index), is_wanted=key == "shouldExist")
        for key in ("shouldExist", "shouldNotExist")
        for index, text in enumerate(record.texts(key))
    )
    lines = [said("argument_added" if one.is_wanted else "argument_removed", argument=one.text) for one in arguments]
    if lines:
        lines.append(said("arguments_reboot"))
    return Kernel(arguments, tuple(lines))


def rest(config: Record, contents: Contents) -> Rest:
    """Other configs, certificate authorities, proxies, timeouts."""
    ignition = config.record("ignition")
    fetched = [
        *_fetched("merge", ignition.record("config").records("merge"), ("ignition", "config", "merge"), contents),
        *_fetched(
            "authority",
            ignition.record("security").record("tls").records("certificateAuthorities"),
            ("ignition", "security", "tls", "certificateAuthorities"),
            contents,
        ),
    ]
    replacing = ignition.record("config").record("replace")
    if replacing.text("source"):
        fetched.append(Fetched("replace", contents.read(replacing), ("ignition", "config", "replace")))
    return Rest(tuple(fetched), tuple(_lines(fetched, ignition)))


def _fetched(kind: str, records: list[Record], at: Path, contents: Contents) -> list[Fetched]:
    return [Fetched(kind, contents.read(record), (*at, index)) for index, record in enumerate(records)]


def _lines(fetched: list[Fetched], ignition: Record) -> list[Said]:
    lines = [
        said(f"{one.kind}_fetched", url=one.content.url) if one.content.is_remote else said(f"{one.kind}_inline")
        for one in fetched
    ]
    proxy = ignition.record("proxy")
    for key in ("httpProxy", "httpsProxy"):
        if proxy.text(key):
            lines.append(said("proxy", kind=key.removesuffix("Proxy"), url=shown_url(proxy.string(key))))
    if proxy.texts("noProxy"):
        lines.append(said("no_proxy", hosts=tuple(proxy.texts("noProxy"))))
    timeouts = ignition.record("timeouts")
    for key, code in (("httpTotal", "timeout_total"), ("httpResponseHeaders", "timeout_headers")):
        seconds = timeouts.number(key)
        if seconds is not None:
            lines.append(said(code, seconds=seconds))
    return lines
