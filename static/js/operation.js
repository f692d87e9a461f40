// The live log of an operation: asks for what comes after the last line, follows, pauses, and searches what is there.
const EVERY_MS = 1500;
const SLOW_MS = 10000;

class Log {
  constructor(box) {
    this.box = box;
    this.list = box.querySelector("ol");
    this.after = Number(box.dataset.after || 0);
    this.isFollowing = true;
    this.find = document.querySelector("[data-log-find]");
    this.button = document.querySelector("[data-log-follow]");
    this.button?.addEventListener("click", () => this.follow(!this.isFollowing));
    this.find?.addEventListener("input", () => this.search());
    box.addEventListener("scroll", () => {
      const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 24;
      if (!atEnd && this.isFollowing) this.follow(false);
    });
    this.toEnd();
    // More is written already than one answer holds, also of what has ended.
    if (box.hasAttribute("data-more")) this.ask();
    else if (!box.hasAttribute("data-over")) this.later(EVERY_MS);
  }

  follow(isFollowing) {
    this.isFollowing = isFollowing;
    this.button?.setAttribute("aria-pressed", String(isFollowing));
    if (isFollowing) this.toEnd();
  }

  toEnd() {
    if (this.isFollowing) this.box.scrollTop = this.box.scrollHeight;
  }

  later(ms) {
    setTimeout(() => this.ask(), document.hidden ? SLOW_MS : ms);
  }

  async ask() {
    let answer;
    try {
      answer = await fetch(`${this.box.dataset.log}?after=${this.after}`, { headers: { "HX-Request": "true" } });
    } catch {
      this.later(SLOW_MS);
      return;
    }
    if (answer.status === 401) {
      location.reload();
      return;
    }
    // 286: nothing more will come.
    if (!answer.ok && answer.status !== 286) {
      this.later(SLOW_MS);
      return;
    }
    const holder = document.createElement("template");
    holder.innerHTML = await answer.text();
    const lines = holder.content.querySelectorAll("li");
    if (lines.length) {
      this.list.append(...lines);
      this.after = Number(answer.headers.get("X-FleetUI-Log-After") || this.after);
      this.search();
      this.toEnd();
    }
    if (answer.status !== 286) this.later(answer.headers.has("X-FleetUI-Log-More") ? 0 : EVERY_MS);
  }

  search() {
    const wanted = (this.find?.value ?? "").trim().toLowerCase();
    for (const line of this.list.children) line.hidden = Boolean(wanted) && !line.textContent.toLowerCase().includes(wanted);
  }
}

const box = document.querySelector("[data-log]");
if (box) new Log(box);
