// Runs before the first paint, so that the dark theme does not flash.
(() => {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const read = () => {
    try {
      return localStorage.getItem("fleetui-theme") || "auto";
    } catch {
      return "auto";
    }
  };
  const apply = () => {
    const choice = read();
    root.dataset.themeChoice = choice;
    root.dataset.bsTheme = choice === "auto" ? (dark.matches ? "dark" : "light") : choice;
  };
  apply();
  dark.addEventListener("change", apply);
  addEventListener("storage", apply);
  addEventListener("fleetui:theme", (event) => {
    try {
      localStorage.setItem("fleetui-theme", event.detail);
    } catch {
      root.dataset.bsTheme = event.detail;
    }
    apply();
    dispatchEvent(new CustomEvent("fleetui:theme-applied"));
  });
})();
