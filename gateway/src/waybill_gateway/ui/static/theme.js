// Before anything is drawn: the colours that were chosen, if not those of the system; and that scripts run.
(() => {
  const root = document.documentElement;
  const chosen = localStorage.getItem("waybill-theme");
  if (chosen === "dark" || chosen === "light") root.dataset.theme = chosen;
  root.classList.add("scripted");
})();
