// Translated texts, rendered by the server into a template element.
const source = document.getElementById("ui-strings");
const texts = new Map(
  source ? [...source.content.querySelectorAll("[data-k]")].map((item) => [item.dataset.k, item.textContent]) : [],
);

export const language = document.documentElement.lang || "en";

export function say(key, values = {}) {
  return (texts.get(key) ?? key).replace(/%\((\w+)\)s/g, (_, name) => values[name] ?? "");
}

export function grouped(number) {
  return new Intl.NumberFormat(language === "th" ? "th-TH-u-nu-latn" : language).format(number);
}

export function isTyping(target) {
  return target instanceof Element && Boolean(target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]"));
}

export function toast(text, level = "info") {
  const box = document.getElementById("toasts");
  if (!box) return;
  const item = document.createElement("div");
  item.className = "ui-toast";
  item.dataset.level = level;
  item.textContent = text;
  box.append(item);
  setTimeout(() => item.remove(), level === "bad" ? 12000 : 3500);
}
