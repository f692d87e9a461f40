// Completion in the filter bar. The choices are the links of its menu, so both always agree.
import { say } from "./words.js";

const MOST = 12;

function startOne(bar) {
  const input = bar.querySelector("[data-filter-input]");
  if (!input) return;
  const list = document.createElement("ul");
  list.className = "ui-suggest";
  list.id = "filter-suggestions";
  list.setAttribute("role", "listbox");
  list.hidden = true;
  bar.append(list);
  input.setAttribute("aria-controls", list.id);

  const options = () => [...list.children];
  const select = (option) => {
    for (const other of options()) other.setAttribute("aria-selected", String(other === option));
    if (option) input.setAttribute("aria-activedescendant", option.id);
    option?.scrollIntoView({ block: "nearest" });
  };
  const close = () => {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const add = (label, url) => {
    const option = document.createElement("li");
    option.id = `filter-option-${list.children.length}`;
    option.setAttribute("role", "option");
    option.setAttribute("aria-selected", "false");
    option.textContent = label;
    if (url) option.dataset.url = url;
    list.append(option);
  };
  const draw = () => {
    const words = input.value.trim().toLowerCase().split(/[\s:]+/).filter(Boolean);
    list.replaceChildren();
    if (!words.length) return close();
    add(say("search_text", { text: input.value.trim() }));
    for (const link of bar.querySelectorAll("[data-filter-option]:not([aria-current])")) {
      const text = link.dataset.text.toLowerCase();
      if (list.children.length <= MOST && words.every((word) => text.includes(word))) add(link.dataset.text, link.href);
    }
    list.hidden = list.children.length < 2;
    input.setAttribute("aria-expanded", String(!list.hidden));
    select(list.firstElementChild);
  };
  const take = (option) => {
    if (option?.dataset.url) location.assign(option.dataset.url);
    else input.form.requestSubmit();
  };

  input.addEventListener("input", draw);
  // Long menus come when the bar is first used: what was typed meanwhile finds its choices then.
  bar.querySelector("[data-filter-panel]")?.addEventListener("htmx:afterSettle", () => {
    if (document.activeElement === input) draw();
  });
  input.addEventListener("blur", () => setTimeout(close, 150));
  input.addEventListener("keydown", (event) => {
    const all = options();
    const now = all.findIndex((option) => option.getAttribute("aria-selected") === "true");
    if (event.key === "Escape") {
      if (list.hidden) input.blur();
      else close();
    } else if (event.key === "Backspace" && !input.value) bar.querySelector(".ui-chip:last-of-type a")?.click();
    else if (!list.hidden && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      select(all[(now + (event.key === "ArrowDown" ? 1 : -1) + all.length) % all.length]);
    } else if (!list.hidden && event.key === "Enter") {
      event.preventDefault();
      take(all[now]);
    }
  });
  list.addEventListener("mousedown", (event) => {
    event.preventDefault();
    take(event.target.closest("li"));
  });
}

export function startFilter() {
  for (const bar of document.querySelectorAll("[data-filter]")) startOne(bar);
}
