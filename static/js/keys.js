// The keyboard: `/`, Ctrl-K, `g` and a letter, `j` `k` `x` in lists, `?`.
import { isTyping } from "./words.js";

const GO_MS = 1500;
let goTimer = 0;

const rows = () => [...document.querySelectorAll("[data-id]")].filter((row) => row.offsetParent !== null);

function move(step) {
  const all = rows();
  if (!all.length) return;
  const now = all.findIndex((row) => row.hasAttribute("data-cursor"));
  const next = all[Math.min(Math.max(now + step, 0), all.length - 1)];
  all[now]?.removeAttribute("data-cursor");
  next.setAttribute("data-cursor", "");
  next.scrollIntoView({ block: "nearest" });
  next.querySelector("th a, a")?.focus({ preventScroll: true });
}

const atCursor = (selector) => document.querySelector(`[data-cursor] ${selector}`);

function endGo() {
  clearTimeout(goTimer);
  goTimer = 0;
  document.body.classList.remove("ui-going");
}

function startGo() {
  document.body.classList.add("ui-going");
  goTimer = setTimeout(endGo, GO_MS);
}

const actions = {
  "/": () => {
    const field = document.querySelector("[data-filter-input]") ?? document.getElementById("search");
    field?.focus();
    field?.select();
  },
  "?": () => dispatchEvent(new CustomEvent("fleetui:open", { detail: "help" })),
  g: startGo,
  j: () => move(1),
  k: () => move(-1),
  x: () => atCursor("input[data-select-row]")?.click(),
  ".": () => document.querySelector("[data-live-show]:not([hidden])")?.click(),
};

function onKey(event) {
  if ((event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && event.key.toLowerCase() === "k") {
    event.preventDefault();
    dispatchEvent(new CustomEvent("fleetui:open", { detail: "palette" }));
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
  if (goTimer) {
    endGo();
    const link = document.querySelector(`#rail a[data-go="${CSS.escape(event.key)}"]`);
    if (link) {
      event.preventDefault();
      link.click();
    }
    return;
  }
  const action = actions[event.key];
  if (!action) return;
  event.preventDefault();
  action();
}

export function startKeys() {
  document.addEventListener("keydown", onKey);
}
