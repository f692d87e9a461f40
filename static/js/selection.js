// Selected rows are kept per list and filter, so that a selection spans pages.
import { grouped, say } from "./words.js";

const PLACE = ["cursor", "page", "sort", "after", "before"];

function listKey() {
  const query = new URLSearchParams(location.search);
  for (const name of PLACE) query.delete(name);
  query.sort();
  return `fleetui-selection:${location.pathname}?${query}`;
}

class Selection {
  constructor(box) {
    this.box = box;
    this.bar = document.querySelector("[data-bulk]");
    this.storage = listKey();
    if (document.querySelector("[data-selection-done]")) this.forget();
    this.load();
    box.addEventListener("change", (event) => this.onChange(event));
    box.addEventListener("click", (event) => this.onClick(event));
    box.addEventListener("fleetui:list-changed", () => this.draw());
    this.bar?.addEventListener("click", (event) => this.onBarClick(event));
    this.bar?.addEventListener("submit", (event) => this.fill(event.target), true);
    this.draw();
  }

  load() {
    let kept = {};
    try {
      kept = JSON.parse(sessionStorage.getItem(this.storage) ?? "{}");
    } catch {
      kept = {};
    }
    this.isAll = Boolean(kept.all);
    this.ids = new Set(kept.ids ?? []);
    this.without = new Set(kept.without ?? []);
  }

  // What was selected was changed, and perhaps is not in this list any more.
  forget() {
    try {
      sessionStorage.removeItem(this.storage);
    } catch {
      // Where nothing can be stored, nothing was kept.
    }
  }

  save() {
    const kept = { all: this.isAll, ids: [...this.ids], without: [...this.without] };
    try {
      if (this.count) sessionStorage.setItem(this.storage, JSON.stringify(kept));
      else sessionStorage.removeItem(this.storage);
    } catch {
      // A full or blocked store only means that the selection lasts for this page.
    }
    this.draw();
  }

  get total() {
    return Number(this.bar?.dataset.total ?? 0);
  }

  get count() {
    return this.isAll ? Math.max(this.total - this.without.size, 0) : this.ids.size;
  }

  has(id) {
    return this.isAll ? !this.without.has(id) : this.ids.has(id);
  }

  set(id, selected) {
    const [set, adds] = this.isAll ? [this.without, !selected] : [this.ids, selected];
    if (adds) set.add(id);
    else set.delete(id);
  }

  rowBoxes() {
    return [...this.box.querySelectorAll("input[data-select-row]")];
  }

  onChange(event) {
    const input = event.target;
    if (input.matches("[data-select-page]")) for (const box of this.rowBoxes()) this.set(box.value, input.checked);
    else if (input.matches("[data-select-row]")) this.set(input.value, input.checked);
    else return;
    this.save();
  }

  // Shift-click selects everything between two rows.
  onClick(event) {
    const input = event.target;
    if (!(input instanceof HTMLInputElement) || !input.matches("[data-select-row]")) return;
    if (event.shiftKey && this.last) {
      const boxes = this.rowBoxes();
      const [from, to] = [boxes.indexOf(this.last), boxes.indexOf(input)].sort((a, b) => a - b);
      if (from >= 0) for (const box of boxes.slice(from, to + 1)) this.set(box.value, input.checked);
    }
    this.last = input;
  }

  onBarClick(event) {
    if (event.target.closest("[data-bulk-clear]")) this.clear();
    else if (event.target.closest("[data-bulk-all]")) {
      this.isAll = true;
      this.without.clear();
      this.save();
    }
  }

  clear() {
    this.isAll = false;
    this.ids.clear();
    this.without.clear();
    this.save();
  }

  text() {
    return say("selected", { n: grouped(this.count), total: grouped(this.total) });
  }

  fill(form) {
    for (const old of form.querySelectorAll("[data-from-selection]")) old.remove();
    const add = (name, value) => {
      const input = document.createElement("input");
      Object.assign(input, { type: "hidden", name, value });
      input.dataset.fromSelection = "true";
      form.append(input);
    };
    // What "all" stands for, and the list that the answer leads back to.
    add("filter", location.search);
    if (this.isAll) {
      add("all", "1");
      for (const id of this.without) add("without", id);
    } else for (const id of this.ids) add("id", id);
  }

  draw() {
    const boxes = this.rowBoxes();
    for (const box of boxes) {
      box.checked = this.has(box.value);
      box.closest("[data-id]")?.toggleAttribute("data-selected", box.checked);
    }
    const page = this.box.querySelector("[data-select-page]");
    const chosen = boxes.filter((box) => box.checked).length;
    if (page) {
      page.checked = chosen > 0 && chosen === boxes.length;
      page.indeterminate = chosen > 0 && chosen < boxes.length;
    }
    if (!this.bar) return;
    this.bar.hidden = this.count === 0;
    this.bar.querySelector("[data-bulk-text]").textContent = this.text();
    const all = this.bar.querySelector("[data-bulk-all]");
    all.textContent = say("select_all", { total: grouped(this.total) });
    // A filter that was left out stands for nothing, and the server refuses "all" of it.
    all.hidden = this.count >= this.total || "bulkNoAll" in this.bar.dataset;
    for (const form of this.bar.querySelectorAll("form")) {
      form.dataset.selectionCount = this.count;
      form.dataset.selectionText = this.text();
    }
  }
}

export function startSelection(root = document) {
  const box = root.querySelector("[data-select]:not([data-select-on])");
  if (!box) return;
  box.dataset.selectOn = "true";
  new Selection(box);
}
