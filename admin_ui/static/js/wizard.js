// The import wizard: what was previewed must not be imported under a form that says something else by now.
const forgetPreview = () => {
  for (const part of document.querySelectorAll("[data-outdated]")) part.remove();
  document.getElementById("commit-place")?.replaceChildren();
};

const isTooLarge = (input) => [...input.files].some((file) => file.size > Number(input.dataset.mostBytes));

document.addEventListener("change", (event) => {
  const target = event.target;
  if (!(target instanceof Element) || !target.closest("#import") || target.name === "leave_out") return;
  if (target.matches("[data-most-bytes]")) {
    // A new element: the one there may be asking how far another file is.
    const fresh = document.createElement("div");
    fresh.id = "preview";
    document.getElementById("preview")?.replaceWith(fresh);
    target.setCustomValidity(isTooLarge(target) ? `${target.files[0].name} is too large: ${target.dataset.mostTold} at most.` : "");
    target.reportValidity();
  }
  forgetPreview();
});
