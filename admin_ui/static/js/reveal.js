// A password can be looked at while it is typed; it is hidden again before it is sent, so that no browser keeps it as text.
const hide = (button) => {
  const input = document.getElementById(button.dataset.reveal);
  if (input) input.type = "password";
  button.setAttribute("aria-pressed", "false");
};

document.addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest("[data-reveal]") : null;
  const input = button && document.getElementById(button.dataset.reveal);
  if (!input) return;
  const shown = input.type === "password";
  input.type = shown ? "text" : "password";
  button.setAttribute("aria-pressed", String(shown));
});

document.addEventListener(
  "submit",
  (event) => {
    for (const button of event.target.querySelectorAll("[data-reveal]")) hide(button);
  },
  true,
);
