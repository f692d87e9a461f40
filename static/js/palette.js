// Ctrl-K: pages from the rail at once, nodes and the rest from the server.
import { say } from "./words.js";

const ASK_AFTER_MS = 120;
const dialog = document.getElementById("palette");
const input = dialog?.querySelector("input");
const list = dialog?.querySelector("ul");
let timer = 0;
let asked = 0;

const pages = () =>
  [...document.querySelectorAll("#rail li a")].map((link) => ({
    label: link.querySelector("span").textContent,
    url: link.href,
    group: say("pages"),
    hint: link.dataset.go ? `g ${link.dataset.go}` : "",
  }));

function select(option) {
  for (const other of list.querySelectorAll("[role=option]")) other.setAttribute("aria-selected", String(other === option));
  if (option) {
    input.setAttribute("aria-activedescendant", option.id);
    option.scrollIntoView({ block: "nearest" });
  } else input.removeAttribute("aria-activedescendant");
}

function draw(results) {
  list.replaceChildren();
  let group = "";
  results.forEach((result, place) => {
    if (result.group !== group) {
      group = result.group;
      const head = document.createElement("li");
      head.setAttribute("role", "presentation");
      head.textContent = group;
      list.append(head);
    }
    const option = document.createElement("li");
    option.id = `palette-option-${place}`;
    option.setAttribute("role", "option");
    option.dataset.url = result.url;
    option.append(result.label);
    const hint = document.createElement("span");
    hint.textContent = result.hint ?? "";
    option.append(hint);
    list.append(option);
  });
  if (!results.length) {
    const none = document.createElement("li");
    none.className = "ui-palette-none";
    none.textContent = say("nothing_found");
    list.append(none);
  }
  select(list.querySelector("[role=option]"));
}

function matching(text) {
  const wanted = text.toLowerCase();
  return pages().filter((page) => page.label.toLowerCase().includes(wanted));
}

async function ask(text) {
  const ticket = ++asked;
  const address = `${document.body.dataset.paletteUrl}?q=${encodeURIComponent(text)}`;
  try {
    const response = await fetch(address, { headers: { Accept: "application/json" }, credentials: "same-origin" });
    if (!response.ok || ticket !== asked) return;
    const { results } = await response.json();
    draw([...matching(text), ...results]);
  } catch {
    // The pages of the rail are there without the server.
  }
}

function onInput() {
  const text = input.value.trim();
  draw(matching(text));
  clearTimeout(timer);
  asked += 1;
  if (text) timer = setTimeout(() => ask(text), ASK_AFTER_MS);
}

function onKey(event) {
  const options = [...list.querySelectorAll("[role=option]")];
  const now = options.findIndex((option) => option.getAttribute("aria-selected") === "true");
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    const step = event.key === "ArrowDown" ? 1 : -1;
    select(options[(now + step + options.length) % options.length]);
  } else if (event.key === "Enter") {
    event.preventDefault();
    go(options[now], event.ctrlKey || event.metaKey);
  }
}

function go(option, isNewTab) {
  if (!option) return;
  const url = new URL(option.dataset.url, location.href);
  // Names of hosts end up here; only our own pages are gone to.
  if (url.origin !== location.origin) return;
  if (isNewTab) open(url, "_blank", "noopener");
  else location.assign(url);
  dialog.close();
}

export function startPalette() {
  addEventListener("fleetui:open", (event) => {
    const target = document.getElementById(event.detail);
    if (!(target instanceof HTMLDialogElement) || target.open) return;
    target.showModal();
    if (target !== dialog) return;
    input.value = "";
    onInput();
    input.focus();
  });
  if (!dialog) return;
  input.addEventListener("input", onInput);
  input.addEventListener("keydown", onKey);
  list.addEventListener("click", (event) => go(event.target.closest("[role=option]"), event.ctrlKey || event.metaKey));
  list.addEventListener("mousemove", (event) => {
    const option = event.target.closest("[role=option]");
    if (option) select(option);
  });
}
