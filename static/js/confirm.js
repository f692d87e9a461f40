// A dialog before what changes hosts: effect, targets, what is protected, a reason, and typing where it cannot be undone.
import { grouped } from "./words.js";

const dialog = document.getElementById("confirm");
let waiting = null;

const slot = (name) => dialog.querySelector(`[data-confirm-slot="${name}"]`);

function settings(form, submitter) {
  const read = (name) => submitter?.getAttribute(`data-confirm${name}`) ?? form.getAttribute(`data-confirm${name}`) ?? "";
  return {
    title: read(""),
    effect: read("-effect"),
    targets: read("-targets") || form.dataset.selectionText || "",
    protection: read("-protected"),
    reason: read("-reason"),
    type: read("-type"),
    keep: read("-keep"),
    button: read("-button") || submitter?.textContent.trim() || read(""),
    isDangerous: submitter?.classList.contains("btn-danger") || Boolean(read("-type")),
  };
}

function show(form, submitter, what) {
  waiting = { form, submitter, what };
  const count = grouped(Number(form.dataset.selectionCount ?? 0));
  dialog.querySelector("h2").textContent = what.title.replace("%(n)s", count);
  slot("effect").textContent = what.effect;
  slot("effect").hidden = !what.effect;
  slot("targets").textContent = what.targets;
  slot("targets").hidden = !what.targets;
  slot("protected").querySelector("span").textContent = what.protection;
  slot("protected").hidden = !what.protection;
  const reason = slot("reason");
  reason.hidden = !what.reason;
  reason.querySelector("input").value = "";
  reason.querySelector("input").required = what.reason === "required";
  reason.querySelector(".ui-optional").hidden = what.reason === "required";
  const typed = slot("type");
  typed.hidden = !what.type;
  typed.querySelector("code").textContent = what.type;
  typed.querySelector("input").value = "";
  const keep = dialog.querySelector("[data-close]");
  // Where the question is whether to cancel something, a button of that name would say both.
  keep.dataset.usual ??= keep.textContent;
  keep.textContent = what.keep || keep.dataset.usual;
  const go = dialog.querySelector("[data-confirm-go]");
  go.textContent = what.button;
  go.className = what.isDangerous ? "btn btn-danger" : "btn btn-primary";
  go.disabled = Boolean(what.type);
  dialog.returnValue = "";
  // The dialog gives the focus back to what had it, which must not be a button in a menu that closes.
  const menu = form.closest("details[data-menu]");
  if (menu) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
  dialog.showModal();
  (what.type ? typed.querySelector("input") : what.reason ? reason.querySelector("input") : go).focus();
}

function setHidden(form, name, value) {
  let input = form.querySelector(`input[type=hidden][name="${name}"]`);
  if (!input) {
    input = document.createElement("input");
    input.type = "hidden";
    input.name = name;
    form.append(input);
  }
  input.value = value;
}

function onSubmit(event) {
  const { target: form, submitter } = event;
  if (form.dataset.confirmed) {
    delete form.dataset.confirmed;
    return;
  }
  const what = settings(form, submitter);
  if (!what.title) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  show(form, submitter, what);
}

// The button that asked may have been drawn anew meanwhile: the focus goes to the one in its place, and not to the top of the page.
function giveBack({ form, submitter }) {
  // Its own input may still be what has the focus, though the dialog is closed.
  if (form.isConnected || ![document.body, ...dialog.querySelectorAll("*")].includes(document.activeElement)) return;
  const isSame = (one) => one.getAttribute("action") === form.getAttribute("action") && one.dataset.confirm === form.dataset.confirm;
  const label = submitter?.textContent.trim();
  // A closed menu may hold a form for the same.
  [...document.forms].filter(isSame).flatMap((one) => [...one.querySelectorAll("button")])
    .find((button) => button.textContent.trim() === label && button.checkVisibility())?.focus();
}

export function startConfirm() {
  if (!dialog) return;
  // In the capture phase: before htmx and the double-submit guard see the form.
  document.addEventListener("submit", onSubmit, true);
  slot("type").querySelector("input").addEventListener("input", (event) => {
    dialog.querySelector("[data-confirm-go]").disabled = event.target.value.trim() !== waiting?.what.type;
  });
  dialog.addEventListener("close", () => {
    const asked = waiting;
    waiting = null;
    if (!asked) return;
    if (dialog.returnValue !== "confirm") return giveBack(asked);
    if (asked.what.reason) setHidden(asked.form, "reason", slot("reason").querySelector("input").value.trim());
    if (asked.what.type) setHidden(asked.form, "confirm", asked.what.type);
    asked.form.dataset.confirmed = "true";
    // A part of the page that draws itself anew took the form away while the dialog was open. What was confirmed is
    // still what is sent, and a form outside of the document sends nothing.
    if (!asked.form.isConnected) {
      asked.form.hidden = true;
      document.body.append(asked.form);
    }
    asked.form.requestSubmit(asked.submitter ?? undefined);
  });
}
