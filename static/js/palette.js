// Ctrl-K: pages from the rail and what was open lately at once, the rest from the server by the rights of the person.
import { say } from "./words.js";

const ASK_AFTER_MS = 120;
const RECENT = "fleetui-recent";
const MOST_RECENT = 6;
const dialog = document.getElementById("palette");
const input = dialog?.querySelector("input");
const list = dialog?.querySelector("ul");
const status = dialog?.querySelector("[role=status]");
let timer = 0;
let asked = 0;
let shown = [];

const pages = () =>
  [...document.querySelectorAll("#rail li a")].map((link) => ({
    label: link.querySelector("span").textContent,
    url: link.href,
    group: say("pages"),
    hint: link.dataset.go ? `g ${link.dataset.go}` : "",
  }));

// What was open lately, of things that have a name of their own. Only this browser knows it.
function recent() {
  try {
    const kept = JSON.parse(localStorage.getItem(RECENT) ?? "[]");
    return Array.isArray(kept) ? kept.filter((one) => typeof one?.url === "string" && one.url.startsWith("/") && typeof one.label === "string") : [];
  } catch {
    return [];
  }
}

function remember() {
  if (!/^\/(nodes|pools|clusters)\/(?!-\/|add\/)[^/]+\/$/.test(location.pathname)) return;
  const label = document.querySelector("h1")?.textContent.trim();
  if (!label) return;
  const others = recent().filter((one) => one.url !== location.pathname);
  try {
    localStorage.setItem(RECENT, JSON.stringify([{ label, url: location.pathname }, ...others].slice(0, MOST_RECENT + 1)));
  } catch {
    // A full or blocked store only means that nothing is remembered.
  }
}

const recentOnes = (text) =>
  recent()
    .filter((one) => one.url !== location.pathname && one.label.toLowerCase().includes(text.toLowerCase()))
    .slice(0, MOST_RECENT)
    .map((one) => ({ ...one, group: say("recent") }));

function select(option) {
  for (const other of list.querySelectorAll("[role=option]")) other.setAttribute("aria-selected", String(other === option));
  if (option) {
    input.setAttribute("aria-activedescendant", option.id);
    option.scrollIntoView({ block: "nearest" });
  } else input.removeAttribute("aria-activedescendant");
}

function draw(results) {
  shown = results;
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
    option.dataset.place = place;
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
  status.textContent = say("results", { n: results.length });
}

function matching(text) {
  const wanted = text.toLowerCase();
  return [...recentOnes(text), ...pages().filter((page) => page.label.toLowerCase().includes(wanted))];
}

// Groups keep together, in the order in which they first come; what was open lately is not said twice.
function merged(results) {
  const seen = new Set();
  const groups = new Map();
  for (const result of results) {
    const key = `${result.method ?? ""} ${result.url} ${result.label}`;
    if (seen.has(key)) continue;
    seen.add(key);
    groups.set(result.group, [...(groups.get(result.group) ?? []), result]);
  }
  return [...groups.values()].flat();
}

// What nothing is named after may still be in an address, a version or a label.
function search(text) {
  const url = new URL(document.querySelector(".ui-search").action);
  url.searchParams.set("q", text);
  return { label: say("search_text", { text }), url: url.href, group: "" };
}

async function ask(text) {
  const ticket = ++asked;
  const address = `${document.body.dataset.paletteUrl}?${new URLSearchParams({ q: text, at: location.pathname })}`;
  try {
    const response = await fetch(address, { headers: { Accept: "application/json" }, credentials: "same-origin" });
    if (!response.ok || ticket !== asked) return;
    const { results } = await response.json();
    // What can be done with the node of this page comes first.
    const found = merged([...results.filter((one) => one.here), ...matching(text), ...results]);
    draw(found.length || !text ? found : [search(text)]);
    // The way to the list is no find.
    if (!found.length) status.textContent = say("nothing_found");
  } catch {
    // The pages of the rail are there without the server.
  }
}

function onInput() {
  const text = input.value.trim();
  draw(matching(text));
  clearTimeout(timer);
  asked += 1;
  timer = setTimeout(() => ask(text), text ? ASK_AFTER_MS : 0);
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
  const result = shown[Number(option?.dataset.place)];
  if (!result) return;
  const url = new URL(result.url, location.href);
  // Names of hosts end up here; only our own pages are gone to.
  if (url.origin !== location.origin) return;
  dialog.close();
  if (result.method === "post") send(url, result);
  else if (isNewTab) open(url, "_blank", "noopener");
  else location.assign(url);
}

// The same form as a button of the page would send: it is confirmed and guarded alike.
function send(url, result) {
  const form = document.createElement("form");
  Object.assign(form, { method: "post", action: url.href, hidden: true });
  const token = document.querySelector("input[name=csrfmiddlewaretoken]")?.value ?? "";
  for (const [name, value] of Object.entries({ ...result.fields, csrfmiddlewaretoken: token })) {
    form.append(Object.assign(document.createElement("input"), { type: "hidden", name, value }));
  }
  if (result.confirm) {
    form.dataset.confirm = result.confirm;
    form.dataset.confirmEffect = result.effect ?? "";
    form.dataset.confirmReason = "optional";
  }
  document.body.append(form);
  form.requestSubmit();
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
  // Who signs in next on this browser does not see what the person before had open.
  if (document.querySelector("input[type=password]")) localStorage.removeItem(RECENT);
  if (!dialog) return;
  remember();
  input.addEventListener("input", onInput);
  input.addEventListener("keydown", onKey);
  list.addEventListener("click", (event) => go(event.target.closest("[role=option]"), event.ctrlKey || event.metaKey));
  list.addEventListener("mousemove", (event) => {
    const option = event.target.closest("[role=option]");
    if (option) select(option);
  });
}
