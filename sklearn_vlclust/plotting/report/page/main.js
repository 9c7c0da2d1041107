startTheme();
startDialog();
startThumbnails();
startClusters();
startMatrix();
startMap();
startFilter();
applyFilter();
