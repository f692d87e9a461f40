// The editor of Butane: line numbers, indents by Tab, and what was found beside its line. Without it the field is a plain textarea.
import { Draft } from "./draft.js";

const INDENT = "  ";
const RANK = { bad: 3, warn: 2, info: 1 };

class Editor {
  constructor(box) {
    this.area = box.querySelector("textarea");
    this.gutter = box.querySelector("[data-editor-gutter]");
    this.beside = document.querySelector("[data-editor-beside]");
    this.findings = document.getElementById("findings");
    this.found = new Map();
    this.mayLeave = false;
    new Draft(box, this.area);
    this.area.addEventListener("input", () => {
      // What was found is about an older text until the answer is there.
      this.findings.setAttribute("aria-busy", "true");
      this.number();
    });
    this.area.addEventListener("scroll", () => this.follow());
    this.area.addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("selectionchange", () => this.here());
    new ResizeObserver(() => this.fit()).observe(this.area);
    document.addEventListener("htmx:afterSwap", (event) => {
      if (event.target !== this.findings) return;
      this.findings.removeAttribute("aria-busy");
      this.mark();
    });
    addEventListener("online", () => this.look());
    this.findings.addEventListener("click", (event) => {
      const button = event.target.closest("[data-to-line]");
      if (button) this.go(Number(button.dataset.toLine), Number(button.dataset.toColumn || 1));
    });
    // Files that are left out change what is found.
    for (const box of document.querySelectorAll("input[name=drop]")) {
      box.addEventListener("change", () => this.look());
    }
    this.number();
    this.fit();
    this.mark();
  }

  look() {
    window.htmx?.trigger(this.area, "load");
  }

  number() {
    const lines = this.area.value.split("\n").length;
    const rows = this.gutter.children;
    if (rows.length > lines) for (const row of [...rows].slice(lines)) row.remove();
    if (rows.length < lines) {
      const more = document.createDocumentFragment();
      for (let number = rows.length + 1; number <= lines; number += 1) {
        more.append(Object.assign(document.createElement("div"), { textContent: String(number) }));
      }
      this.gutter.append(more);
    }
    this.follow();
    this.here();
  }

  fit() {
    this.gutter.style.height = `${this.area.offsetHeight}px`;
    this.follow();
  }

  follow() {
    this.gutter.scrollTop = this.area.scrollTop;
  }

  mark() {
    this.found.clear();
    for (const item of this.findings.querySelectorAll("[data-line]")) {
      const line = Number(item.dataset.line);
      const said = { level: item.dataset.level, text: item.querySelector("[data-says]").textContent };
      this.found.set(line, [...(this.found.get(line) ?? []), said]);
    }
    for (const row of this.gutter.querySelectorAll("[data-level]")) row.removeAttribute("data-level");
    for (const [line, said] of this.found) {
      const worst = said.reduce((one, other) => ((RANK[other.level] ?? 0) > (RANK[one.level] ?? 0) ? other : one));
      this.gutter.children[line - 1]?.setAttribute("data-level", worst.level);
    }
    this.here();
  }

  here() {
    if (document.activeElement !== this.area) return;
    const line = this.area.value.slice(0, this.area.selectionStart).split("\n").length;
    this.gutter.querySelector("[data-here]")?.removeAttribute("data-here");
    this.gutter.children[line - 1]?.setAttribute("data-here", "");
    const said = this.found.get(line) ?? [];
    const text = said.length ? `${line}: ${said.map((one) => one.text).join(" · ")}` : "";
    if (this.beside.textContent === text) return;
    this.beside.textContent = text;
    if (said.length) this.beside.dataset.level = said[0].level;
    else delete this.beside.dataset.level;
  }

  go(line, column) {
    const lines = this.area.value.split("\n");
    const start = lines.slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, 0);
    const place = start + Math.min(Math.max(column - 1, 0), lines[line - 1]?.length ?? 0);
    this.area.focus();
    this.area.setSelectionRange(place, place);
    const height = parseFloat(getComputedStyle(this.area).lineHeight) || 20;
    this.area.scrollTop = Math.max(0, (line - 1) * height - this.area.clientHeight / 3);
    this.here();
  }

  key(event) {
    if (event.key === "Escape") {
      this.mayLeave = true;
      return;
    }
    if (event.key === "Tab" && !this.mayLeave && !event.ctrlKey && !event.altKey && !event.metaKey) {
      event.preventDefault();
      this.indent(event.shiftKey);
    } else if (event.key === "Enter" && !event.isComposing) {
      event.preventDefault();
      const before = this.area.value.slice(0, this.area.selectionStart);
      this.put(`\n${/[^\n]*$/.exec(before)[0].match(/^ */)[0]}`);
    }
    if (event.key !== "Shift") this.mayLeave = false;
  }

  indent(isBack) {
    const { value, selectionStart: from, selectionEnd: to } = this.area;
    if (!isBack && from === to) {
      this.put(INDENT);
      return;
    }
    const begin = value.lastIndexOf("\n", from - 1) + 1;
    const lines = value.slice(begin, to).split("\n");
    const moved = lines.map((line) => (isBack ? line.replace(/^ {1,2}/, "") : line && INDENT + line));
    this.area.setSelectionRange(begin, to);
    this.put(moved.join("\n"));
    const first = moved[0].length - lines[0].length;
    this.area.setSelectionRange(Math.max(begin, from + first), begin + moved.join("\n").length);
  }

  // As if it was typed, so that undo knows of it.
  put(text) {
    if (!document.execCommand(text === "" ? "delete" : "insertText", false, text)) {
      this.area.setRangeText(text, this.area.selectionStart, this.area.selectionEnd, "end");
      this.area.dispatchEvent(new Event("input", { bubbles: true }));
    }
    this.reveal();
  }

  // Browsers scroll to what is typed, but not to what a script puts there.
  reveal() {
    const style = getComputedStyle(this.area);
    const line = this.area.value.slice(0, this.area.selectionEnd).split("\n").length;
    const bottom = line * (parseFloat(style.lineHeight) || 20) + parseFloat(style.paddingTop) + parseFloat(style.paddingBottom);
    if (bottom > this.area.scrollTop + this.area.clientHeight) this.area.scrollTop = bottom - this.area.clientHeight;
  }
}

for (const box of document.querySelectorAll("[data-editor]")) new Editor(box);
