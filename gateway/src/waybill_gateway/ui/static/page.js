// What the page adds where scripts run: keys, colours, regions that renew themselves. All of it reads well without.
(() => {
  "use strict";
  const root = document.documentElement;
  const all = (selector) => [...document.querySelectorAll(selector)];

  // Colours: as the system, dark, light.
  const themes = ["system", "dark", "light"];
  const signs = { system: "◐", dark: "●", light: "○" };
  const themeButton = document.querySelector("[data-theme-button]");
  const showTheme = () => {
    const now = root.dataset.theme || "system";
    themeButton.textContent = signs[now];
    themeButton.setAttribute("aria-label", now === "system" ? "Colours: as the system" : `Colours: ${now}`);
  };
  themeButton.addEventListener("click", () => {
    const next = themes[(themes.indexOf(root.dataset.theme || "system") + 1) % themes.length];
    if (next === "system") {
      delete root.dataset.theme;
      localStorage.removeItem("waybill-theme");
    } else {
      root.dataset.theme = next;
      localStorage.setItem("waybill-theme", next);
    }
    showTheme();
  });
  showTheme();

  // Keys.
  const help = document.getElementById("help");
  document.querySelector("[data-help-button]").addEventListener("click", () => help.showModal());
  const places = { o: "ui", t: "ui/tasks", f: "ui/failures", r: "ui/redrives", k: "ui/kinds", s: "ui/services", c: "ui/schedules", a: "ui/audit" };
  const home = document.querySelector(".brand").getAttribute("href").replace(/ui$/, "");
  let began = false;

  const move = (step) => {
    const links = all("[data-row] .main a");
    if (!links.length) return;
    const at = links.indexOf(document.activeElement);
    const next = at < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(Math.max(at + step, 0), links.length - 1);
    links[next].focus();
  };
  const follow = (selector) => document.querySelector(selector)?.click();
  const actions = {
    "/": () => document.querySelector("[data-search]")?.focus(),
    "?": () => help.showModal(),
    j: () => move(1),
    k: () => move(-1),
    n: () => follow("[data-next]"),
  };
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea, [contenteditable]");
    if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
    if (typing) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (began && places[event.key]) {
      event.preventDefault();
      location.assign(home + places[event.key]);
    } else if (actions[event.key]) {
      event.preventDefault();
      actions[event.key]();
    }
    began = event.key === "g";
  });

  // Regions that renew themselves while they are seen, and while nobody works in them.
  const busy = (region) =>
    region.contains(document.activeElement) && document.activeElement.closest("input, select, textarea")
    || region.querySelector("details[open] form")
    || !getSelection().isCollapsed;
  setInterval(() => {
    if (document.hidden) return;
    const now = Date.now();
    for (const region of all("[data-live]")) {
      region.since ??= now;
      if (now - region.since < Number(region.dataset.live) * 1000 || busy(region)) continue;
      region.since = now;
      region.dispatchEvent(new CustomEvent("renew"));
    }
  }, 500);
})();
