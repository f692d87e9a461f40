// Menus, the rail on a phone, the theme, copying, dismissing, and forms that are sent once.
import { say, toast } from "./words.js";

function closeMenus(except) {
  for (const menu of document.querySelectorAll("details[data-menu][open]")) if (menu !== except) menu.open = false;
}

function toggleRail(open) {
  const button = document.querySelector("[data-rail-toggle]");
  document.body.classList.toggle("ui-rail-open", open);
  button?.setAttribute("aria-expanded", String(open));
  if (open) document.querySelector("#rail li a")?.focus();
  else if (document.activeElement?.closest("#rail")) button?.focus();
}

async function copy(button) {
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
  } catch {
    if (!copyOldWay(button.dataset.copy)) return toast(say("copy_failed"), "warn");
  }
  button.dataset.copied = "true";
  toast(say("copied"));
  setTimeout(() => delete button.dataset.copied, 1500);
}

// Without TLS browsers hide the clipboard API.
function copyOldWay(text) {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "visually-hidden";
  const host = document.querySelector("dialog[open]") ?? document.body;
  const before = document.activeElement;
  host.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  before?.focus();
  return done;
}

function onClick(event) {
  const target = event.target instanceof Element ? event.target : null;
  if (!target) return;
  closeMenus(target.closest("details[data-menu]"));
  const found = (selector) => target.closest(selector);
  if (found("[data-copy]")) copy(found("[data-copy]"));
  else if (found("[data-theme-set]")) {
    dispatchEvent(new CustomEvent("fleetui:theme", { detail: found("[data-theme-set]").dataset.themeSet }));
    closeMenus();
  } else if (found("[data-rail-toggle]")) toggleRail(!document.body.classList.contains("ui-rail-open"));
  else if (found("[data-rail-close]")) toggleRail(false);
  else if (found("[data-dismiss]")) found(".ui-message, .ui-banner")?.remove();
  else if (found("[data-close]")) found("dialog")?.close();
  else if (found("[data-open]")) {
    toggleRail(false);
    dispatchEvent(new CustomEvent("fleetui:open", { detail: found("[data-open]").dataset.open }));
  } else if (target instanceof HTMLDialogElement && isOutside(target, event)) target.close();
}

function isOutside(dialog, event) {
  const box = dialog.getBoundingClientRect();
  return event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom;
}

function guardForm(event) {
  const form = event.target;
  if (event.defaultPrevented || form.hasAttribute("data-no-guard") || form.method === "dialog") return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "true";
  // After the event, so that the button's own name and value are still sent.
  setTimeout(() => {
    for (const button of form.querySelectorAll("button[type=submit], button:not([type])")) button.setAttribute("aria-busy", "true");
  });
}

function freeForms(root = document) {
  for (const form of root.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    for (const button of form.querySelectorAll("[aria-busy]")) button.removeAttribute("aria-busy");
  }
}

// On a phone the tabs scroll: the one at hand must be seen.
function showTab() {
  for (const tab of document.querySelectorAll(".ui-tabs [aria-current]")) {
    const bar = tab.closest(".ui-tabs");
    bar.scrollLeft = tab.offsetLeft - bar.offsetLeft - (bar.clientWidth - tab.offsetWidth) / 2;
  }
}

export function startControls() {
  showTab();
  document.addEventListener("click", onClick);
  document.addEventListener("submit", guardForm);
  // What a field of the form asks meanwhile, as the check of the editor, does not send it again.
  document.addEventListener("htmx:afterRequest", (event) => event.target instanceof HTMLFormElement && freeForms());
  addEventListener("pageshow", () => freeForms());
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const menu = document.querySelector("details[data-menu][open]");
    if (menu) {
      menu.open = false;
      menu.querySelector("summary")?.focus();
    }
    toggleRail(false);
  });
}
