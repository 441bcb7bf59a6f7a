// Choosing rows of a list: how many, all of a page, or all that match.
const update = () => {
  const form = document.querySelector("form[data-bulk]");
  if (!form) return;
  const boxes = [...form.querySelectorAll('input[name="id"]')];
  const chosen = boxes.filter((box) => box.checked).length;
  const all = form.querySelector("[data-all]");
  const matching = form.querySelector('input[name="matching"]');
  if (chosen < boxes.length && matching) matching.checked = false;
  if (all) {
    all.checked = chosen > 0 && chosen === boxes.length;
    all.indeterminate = chosen > 0 && chosen < boxes.length;
  }
  form.classList.toggle("has-selection", chosen > 0);
  const count = form.querySelector("[data-count]");
  if (count) count.textContent = matching?.checked ? form.dataset.total : String(chosen);
  const offer = form.querySelector("[data-matching]");
  if (offer) offer.hidden = !(chosen === boxes.length && chosen > 0);
};

document.addEventListener("change", (event) => {
  const target = event.target;
  const form = target instanceof Element ? target.closest("form[data-bulk]") : null;
  if (!form) return;
  if (target.matches("[data-all]")) {
    for (const box of form.querySelectorAll('input[name="id"]')) box.checked = target.checked;
  }
  if (target.matches("[data-action]")) {
    for (const more of form.querySelectorAll("[data-for]")) more.hidden = more.dataset.for !== target.value;
  }
  update();
});
document.addEventListener("htmx:after:swap", update);
update();
