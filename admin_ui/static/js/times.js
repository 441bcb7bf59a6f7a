// Times come in UTC and are shown in the reader's own zone.
const format = new Intl.DateTimeFormat(undefined, {
  day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit",
});
const localise = () => {
  for (const time of document.querySelectorAll("time[data-moment]")) {
    const moment = new Date(time.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    time.title = time.textContent;
    time.textContent = format.format(moment);
    time.removeAttribute("data-moment");
  }
};
localise();
document.addEventListener("htmx:after:swap", localise);
