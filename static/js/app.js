import { startCharts } from "./charts.js";
import { startConfirm } from "./confirm.js";
import { startControls } from "./controls.js";
import { startFacts } from "./facts.js";
import { startFilter } from "./filter.js";
import { startKeys } from "./keys.js";
import { startLive } from "./live.js";
import { startPalette } from "./palette.js";
import { startSelection } from "./selection.js";
import { refreshTimes, startTimes } from "./times.js";
import { say, toast } from "./words.js";

startControls();
startCharts();
startConfirm();
startTimes();
startKeys();
startPalette();
startFilter();
startSelection();
startLive();

document.addEventListener("htmx:load", (event) => {
  refreshTimes(event.target);
  startFacts(event.target);
  startLive(event.target);
});
// A session that ended answers 401 with HX-Redirect, which htmx follows by itself; the rest is said aloud.
document.addEventListener("htmx:responseError", (event) => {
  const request = event.detail.xhr;
  if (request.getResponseHeader("HX-Redirect")) location.assign(request.getResponseHeader("HX-Redirect"));
  else toast(say("failed", { status: request.status }), "bad");
});
document.addEventListener("htmx:sendError", () => toast(say("offline"), "warn"));
// Forms that htmx sends carry the token of the page.
document.addEventListener("htmx:configRequest", (event) => {
  const token = document.querySelector("input[name=csrfmiddlewaretoken]")?.value;
  if (token && event.detail.verb !== "get") event.detail.headers["X-CSRFToken"] = token;
});
