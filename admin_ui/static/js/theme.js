// Runs before the first paint: "system" follows the device. The choice itself comes from the server.
(() => {
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    if (root.dataset.theme === "system") root.dataset.bsTheme = dark.matches ? "dark" : "light";
  };
  root.classList.add("js");
  apply();
  dark.addEventListener("change", apply);
  // A page that the browser kept aside may show what its reader may no longer see: ask the server again.
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) window.location.reload();
  });
})();
