// Menus, dialogs and notices. All listeners are on the document, so they outlive every swap.
const closeMenus = (except) => {
  for (const menu of document.querySelectorAll("details[data-menu][open]")) {
    if (menu !== except) menu.open = false;
  }
};

export const openDialog = (id) => {
  const dialog = document.getElementById(id);
  if (!dialog || dialog.open) return dialog;
  closeMenus(null);
  dialog.showModal();
  return dialog;
};

document.addEventListener("click", (event) => {
  const target = event.target;
  if (!(target instanceof Element)) return;
  closeMenus(target.closest("details[data-menu]"));
  const opener = target.closest("[data-open]");
  if (opener && openDialog(opener.dataset.open)) event.preventDefault(); // a link asks on a page of its own
  if (target.closest("[data-close]")) target.closest("dialog")?.close();
  if (target instanceof HTMLDialogElement && target.open && target.id !== "sign-in-again") target.close(); // the backdrop
  if (target.closest("[data-dismiss]")) target.closest("[data-toast]")?.remove();
  if (target.closest("[data-print]")) window.print();
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = document.querySelector("details[data-menu][open]");
  if (menu) {
    menu.open = false;
    menu.querySelector("summary")?.focus();
  }
});

// A notice that offers nothing to do goes by itself; one with Undo stays until it is used or dismissed.
const retire = () => {
  for (const toast of document.querySelectorAll("[data-toast]:not([data-retiring])")) {
    if (toast.querySelector("form") || toast.classList.contains("toast-warn")) continue;
    toast.dataset.retiring = "";
    setTimeout(() => toast.remove(), 8000);
  }
};
retire();
document.addEventListener("htmx:after:swap", retire);

// Of tabs that don't fit, the open one is in sight.
const showTab = () => {
  const tab = document.querySelector(".tabs [aria-current]");
  if (tab && tab.offsetLeft + tab.offsetWidth > tab.parentElement.clientWidth) tab.parentElement.scrollLeft = tab.offsetLeft - 24;
};
showTab();
document.addEventListener("htmx:after:swap", showTab);

// Where a swap brings something that must be read first, the focus goes there.
const focusFirst = () => {
  const first = document.querySelector("[data-focus]");
  if (!first) return;
  first.removeAttribute("data-focus");
  first.focus();
  first.scrollIntoView({ block: "center" });
};
focusFirst();
document.addEventListener("htmx:after:swap", focusFirst);

document.addEventListener("htmx:confirm", (event) => {
  const { ctx, issueRequest, dropRequest } = event.detail;
  const dialog = document.getElementById("confirm");
  if (!ctx.confirm || !dialog) return;
  event.preventDefault();
  dialog.querySelector("[data-question]").textContent = ctx.confirm;
  const yes = dialog.querySelector("[data-yes]");
  let agreed = false;
  const agree = () => {
    agreed = true;
    dialog.close();
  };
  yes.addEventListener("click", agree);
  dialog.addEventListener(
    "close",
    () => {
      yes.removeEventListener("click", agree);
      (agreed ? issueRequest : dropRequest)();
    },
    { once: true },
  );
  openDialog("confirm");
});
