// What was typed and is not saved yet outlives the page, in this tab: when the session ends, the network is cut or a link is followed.
const AFTER_MS = 200;

export class Draft {
  constructor(box, area) {
    this.area = area;
    this.form = area.form;
    this.key = `fleetui:draft:${box.dataset.editorDraft}${location.search}`;
    this.note = document.querySelector("[data-draft-note]");
    this.isLeaving = false;
    this.base = this.form.elements.base.value;
    // A save that was refused: what is in the form was typed, and is nowhere else.
    if ("unsaved" in this.form.dataset) this.keep();
    else this.restore();
    this.form.addEventListener("input", () => this.later());
    this.form.addEventListener("submit", (event) => this.send(event));
    this.note.querySelector("[data-draft-discard]").addEventListener("click", () => this.discard());
    document.querySelector("[data-draft-cancel]").addEventListener("click", () => this.forget());
    addEventListener("pagehide", () => this.timer && this.keep());
    addEventListener("pageshow", () => (this.isLeaving = false));
    addEventListener("beforeunload", (event) => {
      if (this.isUnsaved() && !this.isLeaving) event.preventDefault();
    });
    // The session ended: the page goes to the sign-in and comes back, and then finds the text.
    document.addEventListener("htmx:beforeOnLoad", (event) => {
      if (event.detail.xhr.getResponseHeader("HX-Redirect")) this.isLeaving = true;
    });
  }

  fields() {
    return [this.area, this.form.elements.message];
  }

  isUnsaved() {
    return "unsaved" in this.form.dataset || this.fields().some((field) => field.value !== field.defaultValue);
  }

  read() {
    try {
      return JSON.parse(sessionStorage.getItem(this.key));
    } catch {
      return null;
    }
  }

  write(draft) {
    try {
      if (draft) sessionStorage.setItem(this.key, JSON.stringify(draft));
      else sessionStorage.removeItem(this.key);
    } catch {
      // Full, or forbidden by the person: then leaving asks, and no more.
    }
  }

  later() {
    this.timer ??= setTimeout(() => this.keep(), AFTER_MS);
  }

  keep(isSent = false) {
    clearTimeout(this.timer);
    this.timer = undefined;
    const [source, message] = this.fields().map((field) => field.value);
    this.write(this.isUnsaved() ? { source, message, base: this.form.elements.base.value, isSent } : null);
  }

  send(event) {
    if (event.defaultPrevented) return;
    this.isLeaving = true;
    this.keep(true);
  }

  forget() {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.write(null);
  }

  restore() {
    const draft = this.read();
    if (!draft) return;
    // It was saved: what it started from is no longer the newest.
    if (draft.isSent && draft.base !== this.base) return this.forget();
    if (draft.source === this.area.value && draft.message === this.form.elements.message.value) return;
    this.area.value = draft.source;
    this.form.elements.message.value = draft.message;
    // When somebody saved a version meanwhile, the answer to saving this one says so.
    this.form.elements.base.value = draft.base;
    this.note.hidden = false;
  }

  discard() {
    this.forget();
    for (const field of this.fields()) field.value = field.defaultValue;
    this.form.elements.base.value = this.base;
    this.note.hidden = true;
    this.area.dispatchEvent(new Event("input", { bubbles: true }));
    this.area.focus();
  }
}
