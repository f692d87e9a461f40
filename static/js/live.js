// Keeps a list fresh without moving anything: changed cells flash in place, new and gone rows wait behind a bar.
import { refreshTimes, learnServerTime } from "./times.js";
import { grouped, say } from "./words.js";

const FAILURES_BEFORE_NOTICE = 2;
// One failure may be chance, so that it is asked again soon; a server that is down is not pressed.
const ONCE_MORE_MS = 3_000;
const SLOWEST_MS = 30_000;

function plain(node) {
  const copy = node.cloneNode(true);
  for (const time of copy.querySelectorAll("time[data-relative]")) {
    time.textContent = "";
    time.removeAttribute("title");
    time.removeAttribute("data-both");
  }
  for (const input of copy.querySelectorAll("input")) input.removeAttribute("checked");
  for (const token of copy.querySelectorAll("input[name=csrfmiddlewaretoken]")) token.removeAttribute("value");
  for (const item of copy.querySelectorAll("[data-copied], .ui-flash")) {
    item.removeAttribute("data-copied");
    item.classList.remove("ui-flash");
  }
  return copy.innerHTML.replace(/ class=""/g, "").trim();
}

function flash(node) {
  node.classList.remove("ui-flash");
  void node.offsetWidth;
  node.classList.add("ui-flash");
  node.addEventListener("animationend", () => node.classList.remove("ui-flash"), { once: true });
}

const isInUse = (node) => node.matches(":hover") || node.contains(document.activeElement);

function updateRow(row, fresh) {
  const cells = [...row.children];
  const freshCells = [...fresh.children];
  if (cells.length !== freshCells.length) return;
  cells.forEach((cell, place) => {
    if (cell.querySelector("input[type=checkbox]") || plain(cell) === plain(freshCells[place])) return;
    cell.innerHTML = freshCells[place].innerHTML;
    if (!cell.hasAttribute("data-live-quiet")) flash(cell);
  });
  row.dataset.rev = fresh.dataset.rev;
}

// Whether all of it could be drawn: what somebody has the pointer or the focus in stays as it is.
function updateParts(box, fresh) {
  let isWhole = true;
  for (const part of box.querySelectorAll("[data-live-key]")) {
    const other = fresh.querySelector(`[data-live-key="${CSS.escape(part.dataset.liveKey)}"]`);
    if (!other || plain(part) === plain(other)) continue;
    if (isInUse(part)) {
      isWhole = false;
      continue;
    }
    const isOpen = part.querySelector("details")?.open;
    part.innerHTML = other.innerHTML;
    if (isOpen) part.querySelector("details").open = true;
    if (!part.hasAttribute("data-live-quiet")) flash(part);
  }
  return isWhole;
}

// What stands outside of the box, such as the line below the title: the answer has it with the id of its place.
function updateBeside(parsed) {
  for (const other of parsed.querySelectorAll("[data-live-for]")) {
    const part = document.getElementById(other.dataset.liveFor);
    // It is not of the box, also where all of the box is drawn anew.
    other.remove();
    if (!part || isInUse(part) || part.querySelector("details[open]") || plain(part) === plain(other)) continue;
    part.innerHTML = other.innerHTML;
    refreshTimes(part);
  }
}

const partNames = (box) => [...box.querySelectorAll("[data-live-key]")].map((part) => part.dataset.liveKey).join(" ");

class LiveList {
  constructor(box) {
    this.box = box;
    this.everyMs = Math.max(Number(box.dataset.liveEvery || 10), 2) * 1000;
    this.failures = 0;
    this.pending = null;
    box.addEventListener("click", (event) => event.target.closest?.("[data-live-show]") && this.showPending());
    this.plan();
  }

  plan() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.tick(), this.waitMs());
  }

  waitMs() {
    if (!this.failures) return this.everyMs;
    if (this.failures < FAILURES_BEFORE_NOTICE) return ONCE_MORE_MS;
    return Math.min(this.everyMs * 2 ** (this.failures - FAILURES_BEFORE_NOTICE), SLOWEST_MS);
  }

  async tick() {
    if (!this.box.isConnected) return;
    if (!document.hidden) {
      try {
        await this.ask();
        this.failures = 0;
      } catch {
        this.failures += 1;
      }
      // It stands until the server answers again: what is old must not look new.
      const notice = document.querySelector("[data-offline]");
      if (notice) notice.hidden = this.failures < FAILURES_BEFORE_NOTICE;
    }
    this.plan();
  }

  async ask() {
    const response = await fetch(this.box.dataset.live || location.href, {
      headers: { "HX-Request": "true", "X-FleetUI-Live": "1", "HX-Current-URL": location.href },
      credentials: "same-origin",
      cache: "no-cache",
    });
    learnServerTime(response);
    const target = response.headers.get("HX-Redirect");
    if (target) return location.assign(target);
    if (response.status === 204 || response.status === 304) return;
    if (!response.ok) throw new Error(String(response.status));
    const parsed = new DOMParser().parseFromString(await response.text(), "text/html");
    updateBeside(parsed);
    this.compare(parsed.querySelector(`[data-live][id="${CSS.escape(this.box.id)}"]`) ?? parsed.querySelector("[data-live]") ?? parsed.body);
  }

  compare(fresh) {
    // Parts came or went, such as the facts of a node after its first contact: there is no place to keep, so all of it is drawn anew.
    const isRedrawn = partNames(this.box) !== partNames(fresh);
    if (isRedrawn && !this.box.contains(document.activeElement)) {
      this.box.innerHTML = fresh.innerHTML;
      window.htmx?.process(this.box);
      return refreshTimes(this.box);
    }
    // With the focus in it, the parts that are in both are kept fresh; those that came wait until the focus leaves.
    const isWhole = updateParts(this.box, fresh) && !isRedrawn;
    // Nothing more will happen to it by itself.
    if (isWhole && fresh.querySelector("[data-live-over]")) this.everyMs = SLOWEST_MS;
    const rows = new Map([...this.box.querySelectorAll("[data-id]")].map((row) => [row.dataset.id, row]));
    const freshRows = [...fresh.querySelectorAll("[data-id]")];
    let changed = 0;
    const seen = new Set();
    for (const other of freshRows) {
      const row = rows.get(other.dataset.id);
      seen.add(other.dataset.id);
      if (!row) changed += 1;
      else if (row.dataset.rev !== other.dataset.rev) {
        if (isInUse(row)) continue;
        updateRow(row, other);
      }
    }
    for (const [id, row] of rows) {
      const isGone = !seen.has(id);
      row.toggleAttribute("data-gone", isGone);
      changed += isGone;
    }
    if (!changed && freshRows.some((other, place) => other.dataset.id !== [...rows.keys()][place])) {
      changed = freshRows.filter((other, place) => other.dataset.id !== [...rows.keys()][place]).length;
    }
    this.pending = changed ? fresh : null;
    const bar = this.box.querySelector("[data-live-show]");
    if (bar) {
      const text = say("changed", { n: grouped(changed) });
      bar.hidden = !changed;
      const label = bar.querySelector("[data-live-text]");
      if (changed && label.textContent !== text) label.textContent = text;
    }
    refreshTimes(this.box);
    this.box.dispatchEvent(new CustomEvent("fleetui:list-changed", { bubbles: true }));
  }

  showPending() {
    if (!this.pending) return;
    const body = this.box.querySelector("tbody");
    const freshBody = this.pending.querySelector("tbody");
    // An empty state has no table: the page itself has to be drawn again.
    if (!body || !freshBody) return location.reload();
    const before = new Set([...body.querySelectorAll("[data-id]")].map((row) => row.dataset.id));
    body.replaceWith(freshBody);
    for (const row of freshBody.querySelectorAll("[data-id]")) if (!before.has(row.dataset.id)) [...row.children].forEach(flash);
    this.pending = null;
    this.box.querySelector("[data-live-show]").hidden = true;
    this.box.dispatchEvent(new CustomEvent("fleetui:list-changed", { bubbles: true }));
  }
}

export function startLive(root = document) {
  for (const box of root.querySelectorAll("[data-live]:not([data-live-on])")) {
    box.dataset.liveOn = "true";
    new LiveList(box);
  }
}
